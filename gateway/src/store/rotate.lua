-- Rotation of a refresh token, as one step. The rule is that of `judge` in session.rs.
-- KEYS: the refresh tokens old and new. ARGV: now, hash of new, race seconds, retry
-- seconds, channel, gateway.
local now, race, retry = tonumber(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[4])
local family, state, at, successor, retried =
  unpack(redis.call('HMGET', KEYS[1], 'session', 'state', 'at', 'successor', 'retried'))
if not family then return {'unknown'} end

local session = 'stockade:session:' .. family
local alive, expires, gateway = unpack(redis.call('HMGET', session, 'state', 'expires', 'gateway'))
-- Another gateway's session is unknown here, and nothing of it is touched.
if gateway ~= ARGV[6] then return {'unknown'} end
if alive ~= 'live' or tonumber(expires) <= now then return {'ended', family} end

local follows = successor and 'stockade:refresh:' .. successor
local verdict
if state == 'current' then
  verdict = 'rotate'
elseif state ~= 'rotated' or now + race < tonumber(at) then
  verdict = 'reuse'
elseif now <= tonumber(at) + race then
  return {'raced'}
elseif retried == '0' and now <= tonumber(at) + retry and redis.call('HGET', follows, 'state') == 'current' then
  verdict = 'retry'
else
  verdict = 'reuse'
end

if verdict == 'reuse' then
  redis.call('HSET', session, 'state', 'revoked', 'revoked', ARGV[1])
  redis.call('PUBLISH', ARGV[5], 'session:' .. family)
  return {'reused', family}
end
if verdict == 'retry' then redis.call('HSET', follows, 'state', 'replaced') end
redis.call('HSET', KEYS[1], 'state', 'rotated', 'at', ARGV[1], 'successor', ARGV[2],
  'retried', verdict == 'retry' and '1' or '0')
redis.call('HSET', KEYS[2], 'session', family, 'state', 'current')
redis.call('PEXPIRE', KEYS[2], redis.call('PTTL', session))
redis.call('HSET', session, 'refreshed', ARGV[1])
return {'rotated', redis.call('HGET', session, 'data')}
