// testcontainers for Node, as its documentation says it is used where the reaper
// (Ryuk) may not have Docker's socket: TESTCONTAINERS_RYUK_DISABLED=true.
// DOCKER_HOST says where; through the gateway it is a socket that adds the token.
import { createRequire } from 'node:module';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

process.env.TESTCONTAINERS_RYUK_DISABLED = 'true';
const { CLIENTS, CLIENTS_IMAGE: image, CLIENTS_NAME: n, CLIENTS_WORK: work } = process.env;
const through = process.env.CLIENTS_THROUGH === '1';
const { GenericContainer, Network, Wait } = createRequire(path.join(CLIENTS, 'node/'))('testcontainers');

let count = 0;
const unique = what => `${n}-${what}-${++count}`;
const container = (command, of = new GenericContainer(image)) =>
  of.withName(unique('c')).withLabels({ [n]: '1' }).withCommand(command).withStartupTimeout(60000);
const text = async stream => {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts.map(part => Buffer.from(part))).toString();
};

const flows = {
  async 'a container is started and removed'() {
    const started = await container(['sleep', '600']).start();
    // It falls back to the daemon's own socket where DOCKER_HOST does not answer it.
    assert.equal('io.stockade.role' in started.getLabels(), through, 'whether it went through the gateway');
    await started.stop({ timeout: 0 });
  },
  async 'logs are waited for'() {
    const started = await container(['sh', '-c', 'sleep 0.3; echo it is ready; sleep 600']).withWaitStrategy(Wait.forLogMessage('it is ready')).start();
    await started.stop({ timeout: 0 });
  },
  async 'a command is executed'() {
    const started = await container(['sleep', '600']).start();
    const told = await started.exec(['sh', '-c', 'echo inside; exit 3'], { workingDir: '/tmp', user: '65534', env: { A: '1' } });
    assert.deepEqual([told.exitCode, told.output], [3, 'inside\n']);
    await started.stop({ timeout: 0 });
  },
  async 'a command that succeeds is waited for'() {
    const started = await container(['sh', '-c', 'sleep 0.3; touch /tmp/ready; sleep 600']).withWaitStrategy(Wait.forSuccessfulCommand('test -e /tmp/ready')).start();
    await started.stop({ timeout: 0 });
  },
  async 'a port is published'() {
    const made = container(['sh', '-c', 'mkdir /tmp/www; echo hello >/tmp/www/index.html; httpd -f -p 80 -h /tmp/www']).withExposedPorts(80).withWaitStrategy(Wait.forListeningPorts());
    const started = await made.start();
    assert.equal(await (await fetch(`http://127.0.0.1:${started.getMappedPort(80)}/index.html`)).text(), 'hello\n');
    await started.stop({ timeout: 0 });
  },
  async 'files are copied in and out'() {
    const started = await container(['sleep', '600']).withCopyContentToContainer([{ content: 'before', target: '/tmp/before' }]).start();
    await started.copyContentToContainer([{ content: 'after', target: '/tmp/after' }]);
    assert.equal((await started.exec(['cat', '/tmp/before', '/tmp/after'])).output, 'beforeafter');
    assert.match(await text(await started.copyArchiveFromContainer('/tmp/after')), /after/);
    await started.stop({ timeout: 0 });
  },
  async 'environment, memory, health'() {
    const made = container(['sh', '-c', 'echo A=$A; sleep 600']).withEnvironment({ A: '1' }).withResourcesQuota({ memory: 0.125, cpu: 0.5 })
      .withHealthCheck({ test: ['CMD', 'true'], interval: 500, timeout: 1000, retries: 3, startPeriod: 0 }).withWaitStrategy(Wait.forHealthCheck());
    const started = await made.start();
    const logs = await started.logs({ since: 0 });
    await new Promise(done => logs.on('data', part => String(part).includes('A=1') && done()));
    logs.destroy();
    await started.stop({ timeout: 0 });
  },
  async 'two containers share a network'() {
    const network = await new Network().start();
    const first = await container(['sleep', '600']).withNetwork(network).withNetworkAliases('one').start();
    const second = await container(['sleep', '600']).withNetwork(network).start();
    assert.equal((await second.exec(['nslookup', 'one'])).exitCode, 0);
    await second.stop({ timeout: 0 });
    await first.stop({ timeout: 0 });
    await network.stop();
  },
  async 'a restart, and a container that is committed'() {
    const started = await container(['sleep', '600']).start();
    await started.restart({ timeout: 0 });
    const committed = await started.commit({ repo: `${n}/committed`, tag: '1', deleteOnExit: false });
    assert.match(committed, /[0-9a-f]{64}|committed/);
    await started.stop({ timeout: 0 });
  },
  async 'an image is built'() {
    const folder = path.join(work, 'image');
    fs.mkdirSync(folder, { recursive: true });
    fs.writeFileSync(path.join(folder, 'Dockerfile'), `FROM ${image}\nARG WHAT=default\nLABEL ${n}=1\nRUN echo $WHAT >/what\n`);
    const built = await GenericContainer.fromDockerfile(folder).withBuildArgs({ WHAT: 'given' }).withCache(false).build(`${n}/tested:1`, { deleteOnExit: false });
    const started = await container(['sleep', '600'], built).start();
    assert.equal((await started.exec(['cat', '/what'])).output, 'given\n');
    await started.stop({ timeout: 0 });
  },
};

for (const [name, flow] of Object.entries(flows)) {
  let timer;
  const late = new Promise((_, failed) => { timer = setTimeout(() => failed(new Error('no end within 90 seconds')), 90000); });
  try {
    await Promise.race([flow(), late]);
    console.log(`ok ${name}`);
  } catch (error) {
    console.log(`not ok ${name}:: ${String(error.message ?? error).replace(/\s+/g, ' ').slice(0, 400)}`);
  } finally {
    clearTimeout(timer);
  }
}
process.exit(0);
