// dockerode: its flows, one a line of output (`ok NAME`, `not ok NAME:: why`).
// DOCKER_HOST and what belongs to it say where; CLIENTS_TOKEN, if set, goes into
// the header that dockerode's option `headers` gives to every request.
import { createRequire } from 'node:module';
import { PassThrough, Readable } from 'node:stream';
import { spawnSync } from 'node:child_process';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

const { CLIENTS, CLIENTS_IMAGE: image, CLIENTS_REGISTRY: registry, CLIENTS_NAME: n, CLIENTS_WORK: work, CLIENTS_TOKEN: token } = process.env;
const Docker = createRequire(path.join(CLIENTS, 'node/'))('dockerode');
const headers = token ? { Authorization: `Bearer ${token}` } : {};
const docker = new Docker({ headers });

const all = async stream => {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts.map(part => Buffer.from(part)));
};
const progress = stream => new Promise((done, failed) =>
  docker.modem.followProgress(stream, (error, events) => (error ? failed(error) : done(events))));
/** Both outputs of a stream without a terminal. */
const split = async stream => {
  const [out, err] = [new PassThrough(), new PassThrough()];
  docker.modem.demuxStream(stream, out, err);
  stream.on('end', () => (out.end(), err.end()));
  stream.on('close', () => (out.end(), err.end()));
  return (await Promise.all([all(out), all(err)])).map(String);
};
const until = async condition => {
  for (let i = 0; i < 200; i++) {
    if (await condition()) return;
    await new Promise(done => setTimeout(done, 50));
  }
  throw new Error('did not come about');
};
let count = 0;
const unique = what => `${n}-${what}-${++count}`;
const create = (Cmd, more = {}) =>
  docker.createContainer({ Image: image, Cmd, Labels: { [n]: '1' }, name: unique('c'), ...more });
/** A container that runs for the length of `use`. */
const running = async (use, more = {}) => {
  const container = await create(['sleep', '600'], more);
  try {
    await container.start();
    return await use(container);
  } finally {
    await container.remove({ force: true, v: true });
  }
};
const status = expected => error => error.statusCode === expected;
const tar = (...words) => spawnSync('tar', words, { cwd: work, maxBuffer: 1 << 24 }).stdout;
fs.writeFileSync(path.join(work, 'file'), 'in the file\n');
fs.writeFileSync(path.join(work, 'Dockerfile'), `FROM ${image}\nARG WHAT=default\nLABEL ${n}=1\nCOPY file /file\nRUN echo $WHAT >/what\n`);

const flows = {
  async 'ping'() { assert.equal(String(await docker.ping()), 'OK'); },
  async 'version'() { assert.match((await docker.version()).ApiVersion, /^1\./); },
  async 'version with the version in the path'() {
    const { ApiVersion } = await docker.version();
    assert.equal((await new Docker({ headers, version: `v${ApiVersion}` }).version()).ApiVersion, ApiVersion);
  },
  async 'info'() { assert.equal((await docker.info()).OSType, 'linux'); },
  async 'df'() { assert.ok(Array.isArray((await docker.df()).Images)); },
  async 'events'() {
    const stream = await docker.getEvents({ filters: { event: ['create'], label: [n] } });
    const first = new Promise(done => stream.once('data', part => done(JSON.parse(String(part).split('\n')[0]))));
    const container = await create(['true']);
    assert.equal((await first).Action, 'create');
    stream.destroy();
    await container.remove();
  },
  async 'auth'() {
    const told = await docker.checkAuth({ username: 'somebody', password: 'secret', serveraddress: `http://${registry}` });
    assert.match(told.Status, /Succeeded/);
  },
  async 'images: list'() { assert.ok((await docker.listImages()).some(i => i.RepoTags?.includes(image))); },
  async 'images: list with filters and all'() {
    const found = await docker.listImages({ all: true, digests: true, filters: { reference: [image] } });
    assert.deepEqual(found.flatMap(i => i.RepoTags).filter(tag => tag === image), [image]);
  },
  async 'images: inspect and history'() {
    assert.equal((await docker.getImage(image).inspect()).Os, 'linux');
    assert.ok((await docker.getImage(image).history()).length >= 1);
  },
  async 'images: tag and remove'() {
    await docker.getImage(image).tag({ repo: `${n}/tagged`, tag: 'one' });
    const removed = await docker.getImage(`${n}/tagged:one`).remove();
    assert.deepEqual(removed, [{ Untagged: `${n}/tagged:one` }]);
  },
  async 'images: build of files'() {
    const stream = await docker.buildImage({ context: work, src: ['Dockerfile', 'file'] }, { t: `${n}/built:1`, buildargs: { WHAT: 'given' } });
    const events = await progress(stream);
    assert.ok(events.some(event => /Successfully tagged/.test(event.stream)), JSON.stringify(events));
    await docker.getImage(`${n}/built:1`).remove({ force: true });
  },
  async 'images: build of a tar, with labels and no cache'() {
    const stream = await docker.buildImage(Readable.from([tar('-c', 'Dockerfile', 'file')]), { t: `${n}/built:2`, labels: { extra: 'x' }, nocache: true, rm: true });
    await progress(stream);
    assert.equal((await docker.getImage(`${n}/built:2`).inspect()).Config.Labels.extra, 'x');
    await docker.getImage(`${n}/built:2`).remove({ force: true });
  },
  async 'images: save and load'() {
    await docker.getImage(image).tag({ repo: `${n}/saved`, tag: '1' });
    const bytes = await all(await docker.getImage(`${n}/saved:1`).get());
    await docker.getImage(`${n}/saved:1`).remove();
    await progress(await docker.loadImage(Readable.from([bytes])));
    assert.ok(await docker.getImage(`${n}/saved:1`).inspect());
    await docker.getImage(`${n}/saved:1`).remove();
  },
  async 'images: import'() {
    await progress(await docker.importImage(Readable.from([tar('-c', 'file')]), { repo: `${n}/imported`, tag: '1' }));
    await docker.getImage(`${n}/imported:1`).remove();
  },
  async 'images: push, pull and createImage'() {
    const name = `${registry}/${n}/pushed`;
    await docker.getImage(image).tag({ repo: name, tag: '1' });
    const auth = { username: 'somebody', password: 'secret', serveraddress: registry };
    assert.ok((await progress(await docker.getImage(`${name}:1`).push({ authconfig: auth }))).every(event => !event.error));
    await docker.getImage(`${name}:1`).remove();
    await progress(await docker.pull(`${name}:1`));
    await docker.getImage(`${name}:1`).remove();
    await progress(await docker.createImage({ fromImage: name, tag: '1' }));
    await docker.getImage(`${name}:1`).remove();
  },
  async 'images: distribution'() {
    const name = `${registry}/${n}/distributed`;
    await docker.getImage(image).tag({ repo: name, tag: '1' });
    await progress(await docker.getImage(`${name}:1`).push({ authconfig: {} }));
    assert.match((await docker.getImage(`${name}:1`).distribution()).Descriptor.digest, /^sha256:/);
    await docker.getImage(`${name}:1`).remove();
  },
  async 'images: prune with a filter'() {
    assert.equal((await docker.pruneImages({ filters: { label: [`${n}-none`] } })).SpaceReclaimed, 0);
  },
  async 'images: commit'() {
    const container = await create(['true']);
    const { Id } = await container.commit({ repo: `${n}/committed`, tag: '1', comment: 'said', author: 'me', changes: 'CMD ["cat"]' });
    assert.deepEqual((await docker.getImage(Id).inspect()).Config.Cmd, ['cat']);
    await docker.getImage(`${n}/committed:1`).remove();
    await container.remove();
  },
  async 'images: missing'() { await assert.rejects(docker.getImage(`${n}/none:1`).inspect(), status(404)); },
  async 'containers: create, start, wait, logs, remove'() {
    const container = await create(['sh', '-c', 'echo out; echo err >&2; exit 3']);
    await container.start();
    assert.equal((await container.wait()).StatusCode, 3);
    const text = String(await container.logs({ stdout: true, stderr: true }));
    assert.ok(text.includes('out') && text.includes('err'));
    await container.remove({ v: true });
    await assert.rejects(container.inspect(), status(404));
  },
  async 'containers: logs that are followed'() {
    const container = await create(['sh', '-c', 'for i in 1 2 3; do echo $i; sleep 0.1; done']);
    await container.start();
    const [out] = await split(await container.logs({ follow: true, stdout: true, stderr: true, timestamps: false, tail: 'all' }));
    assert.equal(out, '1\n2\n3\n');
    await container.remove({ force: true });
  },
  async 'containers: list, inspect'() {
    await running(async container => {
      const { Id, State } = await container.inspect({ size: true });
      assert.equal(State.Running, true);
      const found = await docker.listContainers({ all: true, size: true, limit: 50, filters: { label: [n], status: ['running'] } });
      assert.ok(found.some(c => c.Id === Id));
    });
  },
  async 'containers: run with attached output'() {
    const out = new PassThrough();
    const text = all(out);
    const [{ StatusCode }, container] = await docker.run(image, ['sh', '-c', 'echo run; exit 4'], out, { name: unique('run'), Tty: true });
    assert.equal(StatusCode, 4);
    out.end();
    assert.equal(String(await text), 'run\r\n');
    await container.remove();
  },
  async 'containers: run with both outputs apart'() {
    const outs = [new PassThrough(), new PassThrough()];
    const texts = outs.map(all);
    const [, container] = await docker.run(image, ['sh', '-c', 'echo out; echo err >&2'], outs, { name: unique('run'), Tty: false });
    outs.forEach(out => out.end());
    assert.deepEqual((await Promise.all(texts)).map(String), ['out\n', 'err\n']);
    await container.remove();
  },
  async 'containers: attach to output, without Upgrade'() {
    const container = await create(['sh', '-c', 'echo out; echo err >&2']);
    const stream = await container.attach({ stream: true, stdout: true, stderr: true });
    await container.start();
    assert.deepEqual(await split(stream), ['out\n', 'err\n']);
    await container.remove({ force: true });
  },
  async 'containers: attach to input, hijacked'() {
    const container = await create(['cat'], { OpenStdin: true, StdinOnce: true, AttachStdin: true });
    const stream = await container.attach({ stream: true, hijack: true, stdin: true, stdout: true, stderr: true });
    await container.start();
    const output = split(stream);
    stream.end('to cat\n');
    assert.deepEqual(await output, ['to cat\n', '']);
    await container.remove({ force: true });
  },
  async 'containers: attach to a terminal, and resize'() {
    const container = await create(['sh'], { OpenStdin: true, Tty: true });
    const stream = await container.attach({ stream: true, hijack: true, stdin: true, stdout: true, stderr: true });
    await container.start();
    await container.resize({ h: 33, w: 99 });
    const text = all(stream);
    stream.write('stty size; exit\n');
    assert.match(String(await text), /33 99/);
    await container.remove({ force: true });
  },
  async 'containers: stop, restart, kill'() {
    await running(async container => {
      await container.restart({ t: 0 });
      assert.equal((await container.inspect()).State.Running, true);
      await container.kill({ signal: 'SIGKILL' });
      await until(async () => !(await container.inspect()).State.Running);
      await container.start();
      await container.stop({ t: 0 });
      await assert.rejects(container.stop(), status(304));
    });
  },
  async 'containers: pause, unpause'() {
    await running(async container => {
      await container.pause();
      assert.equal((await container.inspect()).State.Paused, true);
      await container.unpause();
    });
  },
  async 'containers: rename'() {
    const container = await create(['true']);
    const name = unique('renamed');
    await container.rename({ name });
    assert.equal((await docker.getContainer(name).inspect()).Name, `/${name}`);
    await container.remove();
  },
  async 'containers: update'() {
    await running(async container => {
      await container.update({ Memory: 67108864, MemorySwap: 67108864, CpuShares: 512 });
      assert.equal((await container.inspect()).HostConfig.Memory, 67108864);
    });
  },
  async 'containers: top'() {
    await running(async container => {
      assert.ok((await container.top()).Processes.length >= 1);
      assert.ok((await container.top({ ps_args: 'aux' })).Titles.includes('COMMAND'));
    });
  },
  async 'containers: stats'() {
    await running(async container => {
      assert.ok('memory_stats' in await container.stats({ stream: false }));
      const stream = await container.stats({ stream: true });
      await new Promise(done => stream.once('data', done));
      stream.destroy();
    });
  },
  async 'containers: exec, without Upgrade'() {
    await running(async container => {
      const exec = await container.exec({ Cmd: ['sh', '-c', 'echo out; echo err >&2; exit 5'], AttachStdout: true, AttachStderr: true });
      assert.deepEqual(await split(await exec.start({})), ['out\n', 'err\n']);
      assert.equal((await exec.inspect()).ExitCode, 5);
    });
  },
  async 'containers: exec with input, hijacked'() {
    await running(async container => {
      const exec = await container.exec({ Cmd: ['wc', '-c'], AttachStdin: true, AttachStdout: true, AttachStderr: true, Env: ['A=1'], WorkingDir: '/tmp' });
      const stream = await exec.start({ hijack: true, stdin: true });
      const output = split(stream);
      stream.end(Buffer.alloc(1 << 20));
      assert.deepEqual(await output, ['1048576\n', '']);
    });
  },
  async 'containers: exec with a terminal, and resize'() {
    await running(async container => {
      const exec = await container.exec({ Cmd: ['sh'], Tty: true, AttachStdin: true, AttachStdout: true, AttachStderr: true });
      const stream = await exec.start({ hijack: true, stdin: true, Tty: true });
      await exec.resize({ h: 21, w: 77 });
      const text = all(stream);
      stream.write('stty size; exit\n');
      assert.match(String(await text), /21 77/);
    });
  },
  async 'containers: exec, detached'() {
    await running(async container => {
      const exec = await container.exec({ Cmd: ['touch', '/tmp/done'] });
      await exec.start({ Detach: true });
      await until(async () => !(await exec.inspect()).Running);
      assert.equal((await exec.inspect()).ExitCode, 0);
    });
  },
  async 'containers: putArchive, infoArchive, getArchive'() {
    await running(async container => {
      await container.putArchive(tar('-c', 'file'), { path: '/tmp' });
      const told = await container.infoArchive({ path: '/tmp/file' });
      await all(told);
      const stat = JSON.parse(Buffer.from(told.headers['x-docker-container-path-stat'], 'base64'));
      assert.equal(stat.name, 'file');
      assert.ok((await all(await container.getArchive({ path: '/tmp/file' }))).includes('in the file'));
    });
  },
  async 'containers: changes, export'() {
    await running(async container => {
      const exec = await container.exec({ Cmd: ['touch', '/added'], AttachStdout: true });
      await all(await exec.start({}));
      assert.ok((await container.changes()).some(change => change.Path === '/added'));
      assert.ok((await all(await container.export())).includes('added'));
    });
  },
  async 'containers: ports, links of names, environment'() {
    await running(async container => {
      const ports = (await container.inspect()).NetworkSettings.Ports['80/tcp'];
      assert.match(ports[0].HostPort, /^[0-9]+$/);
    }, { ExposedPorts: { '80/tcp': {} }, Env: ['A=1', 'B'], HostConfig: { PortBindings: { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '' }] }, RestartPolicy: { Name: 'no' } } });
  },
  async 'containers: volumes'() {
    const name = unique('v');
    await running(async container => {
      assert.equal((await container.inspect()).Mounts[0].Name, name);
    }, { Volumes: { '/data': {} }, HostConfig: { Binds: [`${name}:/data`] } });
    await docker.getVolume(name).remove();
  },
  async 'containers: wait for removal'() {
    const container = await create(['true'], { HostConfig: { AutoRemove: true } });
    const ended = container.wait({ condition: 'removed' });
    await container.start();
    assert.equal((await ended).StatusCode, 0);
  },
  async 'containers: prune with a filter'() {
    const container = await create(['true'], { Labels: { [`${n}-prune`]: '1' } });
    assert.deepEqual((await docker.pruneContainers({ filters: { label: [`${n}-prune`] } })).ContainersDeleted, [container.id]);
  },
  async 'containers: missing'() { await assert.rejects(docker.getContainer(`${n}-none`).inspect(), status(404)); },
  async 'networks: create, inspect, list, remove'() {
    const name = unique('net');
    const network = await docker.createNetwork({ Name: name, Driver: 'bridge', CheckDuplicate: true, Labels: { [n]: '1' } });
    assert.equal((await network.inspect()).Name, name);
    assert.equal((await docker.listNetworks({ filters: { label: [n], name: [name] } })).length, 1);
    await network.remove();
  },
  async 'networks: connect, disconnect'() {
    const name = unique('net');
    const network = await docker.createNetwork({ Name: name, Labels: { [n]: '1' } });
    await running(async container => {
      await network.connect({ Container: container.id, EndpointConfig: { Aliases: ['other'] } });
      assert.ok((await container.inspect()).NetworkSettings.Networks[name].Aliases.includes('other'));
      await network.disconnect({ Container: container.id, Force: true });
    });
    await network.remove();
  },
  async 'networks: a container in one'() {
    const name = unique('net');
    const network = await docker.createNetwork({ Name: name, Labels: { [n]: '1' } });
    await running(async container => {
      assert.ok((await container.inspect()).NetworkSettings.Networks[name]);
    }, { HostConfig: { NetworkMode: name }, NetworkingConfig: { EndpointsConfig: { [name]: { Aliases: ['one'] } } } });
    await network.remove();
  },
  async 'networks: prune with a filter'() {
    const name = unique('net');
    await docker.createNetwork({ Name: name, Labels: { [`${n}-prune`]: '1' } });
    assert.deepEqual((await docker.pruneNetworks({ filters: { label: [`${n}-prune`] } })).NetworksDeleted, [name]);
  },
  async 'volumes: create, inspect, list, remove'() {
    const name = unique('v');
    await docker.createVolume({ Name: name, Labels: { [n]: '1' } });
    assert.equal((await docker.getVolume(name).inspect()).Driver, 'local');
    assert.equal((await docker.listVolumes({ filters: { label: [n], name: [name] } })).Volumes.length, 1);
    await docker.getVolume(name).remove();
  },
  async 'volumes: prune with a filter'() {
    const name = unique('v');
    await docker.createVolume({ Name: name, Labels: { [`${n}-prune`]: '1' } });
    assert.deepEqual((await docker.pruneVolumes({ filters: { label: [`${n}-prune`] } })).VolumesDeleted, [name]);
  },
};

const limit = (name, work) => {
  let timer;
  const late = new Promise((_, failed) => { timer = setTimeout(() => failed(new Error('no end within 60 seconds')), 60000); });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
};
for (const [name, flow] of Object.entries(flows)) {
  try {
    await limit(name, flow());
    console.log(`ok ${name}`);
  } catch (error) {
    console.log(`not ok ${name}:: ${String(error.message ?? error).replace(/\s+/g, ' ').slice(0, 400)}`);
  }
}
process.exit(0);
