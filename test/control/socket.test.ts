import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import test, { after, beforeEach } from 'node:test';
import { askSwitch, findSwitches } from '../../src/control/ask.ts';
import { type ControlServer, openControl, serveControl } from '../../src/control/socket.ts';
import { FakeSwitch, PORT } from './fake-switch.ts';

const folders: string[] = [];
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'heddle-test-'));
  folders.push(folder);
  process.env.XDG_RUNTIME_DIR = folder;
});

after(() => {
  for (const name of folders) rmSync(name, { recursive: true });
});

/** Opens a control socket, gives it to `use` and closes it. */
async function serving(
  use: (server: ControlServer, target: FakeSwitch) => Promise<void>,
  path = join(folder, 's.sock'),
) {
  const target = new FakeSwitch();
  const server = await serveControl(path, target);
  try {
    await use(server, target);
  } finally {
    await server.close();
  }
}

/** Says `request` as it stands, and returns all that is answered. */
function say(path: string, request: string | Buffer): Promise<string> {
  const socket = createConnection(path);
  socket.end(request);
  return text(socket);
}

test('each command is answered', () =>
  serving(async ({ path }, target) => {
    assert.deepEqual(await askSwitch(path, { command: 'ping' }), { name: 's', pid: process.pid });
    assert.deepEqual(await askSwitch(path, { command: 'show', what: 'ports' }), [PORT]);
    assert.equal((await askSwitch(path, { command: 'summary' })).packetsReceived, 3);
    const question = { packet: { flow: 'in_port=web,arp' } };
    assert.equal((await askSwitch(path, { command: 'trace', question })).verdict.dropped, 'flow');
    const flows = {
      command: 'rules',
      kind: 'flows',
      action: 'add',
      text: 'arp,actions=drop\nip,actions=NORMAL',
    } as const;
    assert.deepEqual(await askSwitch(path, flows), ['add done']);
    assert.deepEqual(target.asked, [
      'show ports',
      'trace {"packet":{"flow":"in_port=web,arp"}}',
      `add ${flows.text}`,
    ]);
  }));

test('what the switch refuses is an error of the request, not of the connection', () =>
  serving(async ({ path }) => {
    const wrong = askSwitch(path, { command: 'rules', kind: 'flows', action: 'add', text: 'wrong' });
    await assert.rejects(wrong, /found wrong, expected a flow/);
    const answers = await say(
      path,
      '{"command":"rules","kind":"flows","action":"add","text":"wrong"}\n{"command":"ping"}\n',
    );
    assert.deepEqual(
      answers
        .trimEnd()
        .split('\n')
        .map((line) => Object.keys(JSON.parse(line))[0]),
      ['error', 'result'],
    );
  }));

test('a request that is wrong is told what is expected', () =>
  serving(async ({ path }) => {
    const error = async (request: string) => JSON.parse(await say(path, `${request}\n`)).error;
    assert.match(await error('hello'), /not JSON/);
    assert.match(await error('null'), /command: found undefined, expected one of show, rules/);
    assert.match(await error('{"command":"halt"}'), /command: found "halt"/);
    assert.match(
      await error('{"command":"show","what":["ports"]}'),
      /what: found \["ports"\], expected one of ports/,
    );
    assert.match(await error('{"command":"rules","kind":"flows","action":"add"}'), /text: found none/);
    for (const command of ['connections', 'flush', 'events']) {
      assert.match(await error(`{"command":"${command}"}`), /filter: found none, expected a list of words/);
      assert.match(await error(`{"command":"${command}","filter":[1]}`), /filter: found none/);
    }
    for (const from of ['-1', '0.5', 'null']) {
      const request = `{"command":"flush","filter":[],"from":${from}}`;
      assert.match(await error(request), /from: found no number, expected 0 or where/);
    }
    assert.match(
      await error('{"command":"limits","action":"add"}'),
      /action: found "add", expected one of set, del/,
    );
    assert.match(
      await error('{"command":"timeouts","action":"set"}'),
      /text: found none, expected timeouts of zones/,
    );
    for (const question of ['{}', '{"packet":{"frame":"00"}}', '{"packet":{"flow":"arp"},"whyNot":1}']) {
      assert.match(
        await error(`{"command":"trace","question":${question}}`),
        /question: found no packet, expected a flow, or a frame and its port/,
      );
    }
    assert.match(
      await error('{"command":"upcalls","action":"stop"}'),
      /action: found "stop", expected one of set, pause, resume, wait, purge, replace/,
    );
    assert.match(
      await error('{"command":"upcalls","action":"set"}'),
      /text: found none, expected what to set/,
    );
    assert.match(
      await error('{"command":"sequenceChecking","on":1}'),
      /on: found 1, expected true, false or none/,
    );
  }));

test('connections are asked for page by page, and settings are passed on', () =>
  serving(async ({ path }, target) => {
    const filter = ['', 'tcp'];
    const page = await askSwitch(path, { command: 'connections', filter, from: 0 });
    assert.deepEqual([page.rows.length, page.next], [1, 7]);
    assert.equal((await askSwitch(path, { command: 'connections', filter, from: 7 })).next, undefined);
    assert.equal((await askSwitch(path, { command: 'flush', filter, from: 7 })).count, 2);
    assert.deepEqual(await askSwitch(path, { command: 'limits', action: 'set', text: 'default=3' }), [
      'limits set done',
    ]);
    assert.deepEqual(await askSwitch(path, { command: 'timeouts', action: 'del', text: 'zone=3' }), [
      'timeouts del done',
    ]);
    assert.deepEqual(await askSwitch(path, { command: 'upcalls', action: 'set', text: 'max-idle=500' }), [
      'upcalls set done',
    ]);
    assert.deepEqual(await askSwitch(path, { command: 'sequenceChecking', on: false }), [
      'sequence checking is off',
    ]);
    await askSwitch(path, { command: 'sequenceChecking' });
    assert.deepEqual(target.asked, [
      'connections |tcp from 0',
      'connections |tcp from 7',
      'flush |tcp from 7',
      'limits set default=3',
      'timeouts del zone=3',
      'upcalls set max-idle=500',
      'sequence checking false',
      'sequence checking undefined',
    ]);
  }));

test('a line that is too long is refused before it is stored', () =>
  serving(async ({ path }) => {
    const answer = await say(path, Buffer.alloc((16 << 20) + 1, 'x'));
    assert.match(answer, /^\{"error":"found a line of more than 16777216 bytes","name":"Error"\}\n$/);
  }));

test('there is room for so many clients and no more', () =>
  serving(async ({ path }) => {
    const clients = Array.from({ length: 32 }, () => createConnection(path));
    // Connections are accepted in order: when the last is answered, all are in.
    clients[31]!.write('{"command":"ping"}\n');
    await new Promise((resolve) => clients[31]!.once('data', resolve));
    await assert.rejects(askSwitch(path, { command: 'ping' }), /more than 32 clients/);
    for (const client of clients) client.destroy();
  }));

test('ports are added and removed', () =>
  serving(async ({ path }, target) => {
    const text = 'type: tap, device: tap7';
    assert.deepEqual(await askSwitch(path, { command: 'port', action: 'add', name: 'guest', text }), []);
    await askSwitch(path, { command: 'port', action: 'remove', name: 'guest' });
    assert.deepEqual(target.asked, [`add guest: ${text}`, 'remove guest']);
    await assert.rejects(
      askSwitch(path, { command: 'port', action: 'remove', name: 'nobody' }),
      /found no port nobody, expected one of web/,
    );
  }));

test('only the owner may open the socket, whatever the umask', async () => {
  const umask = process.umask(0);
  try {
    await serving(async ({ path }) => {
      assert.equal(statSync(path).mode & 0o777, 0o600);
      assert.deepEqual(readdirSync(folder), ['s.sock']);
      assert.equal(process.umask(), 0);
    });
  } finally {
    process.umask(umask);
  }
});

test('closing removes the socket and hangs up', async () => {
  const path = join(folder, 's.sock');
  let rest: Promise<string> | undefined;
  await serving(async () => {
    const socket = createConnection(path);
    await new Promise((resolve) => socket.once('connect', resolve));
    rest = text(socket);
  }, path);
  assert.equal(await rest, '');
  assert.equal(existsSync(path), false);
  await assert.rejects(askSwitch(path, { command: 'ping' }), /found no running switch/);
});

test('closing leaves a socket alone that has taken its place', async () => {
  const path = join(folder, 's.sock');
  const first = await serveControl(path, new FakeSwitch());
  rmSync(path);
  const second = await serveControl(path, new FakeSwitch());
  await first.close();
  assert.equal(existsSync(path), true);
  await second.close();
});

test('a socket nobody answers on is replaced', async () => {
  const path = join(folder, 's.sock');
  const gone = createServer().listen(join(folder, 'bound'));
  await new Promise((resolve) => gone.once('listening', resolve));
  linkSync(join(folder, 'bound'), path);
  await new Promise((resolve) => gone.close(resolve));
  assert.ok(lstatSync(path).isSocket());
  await serving(async () => {
    assert.equal((await askSwitch(path, { command: 'ping' })).pid, process.pid);
  }, path);
});

test('a file that is no socket is left alone', async () => {
  const path = join(folder, 's.sock');
  writeFileSync(path, 'mine');
  await assert.rejects(serveControl(path, new FakeSwitch()), /found a file, expected a socket or nothing/);
});

test('at the default place the next free name is taken; at a chosen place that is an error', async () => {
  const target = new FakeSwitch();
  const servers = [await openControl({ name: 'demo' }, target), await openControl({ name: 'demo' }, target)];
  const paths = servers.map((server) => server!.path);
  assert.deepEqual(paths, [join(folder, 'heddle/demo.sock'), join(folder, 'heddle/demo-2.sock')]);
  await assert.rejects(
    openControl({ name: 'demo', control: paths[0]! }, target),
    /demo.sock: found a running switch, expected a path that is free/,
  );
  const found = (await findSwitches()).filter(({ path }) => path.startsWith(folder));
  assert.deepEqual(
    found.map(({ name }) => name),
    ['demo', 'demo-2'],
  );
  for (const server of servers) await server!.close();
});

test('switches that start at once get different sockets', async () => {
  const target = new FakeSwitch();
  const servers = await Promise.all([1, 2, 3].map(() => openControl({ name: 'demo' }, target)));
  assert.equal(new Set(servers.map((server) => server!.path)).size, 3);
  for (const server of servers) await server!.close();
});

test('control: none opens nothing', async () => {
  assert.equal(await openControl({ name: 'demo', control: 'none' }, new FakeSwitch()), undefined);
  assert.deepEqual(readdirSync(folder), []);
});

test('a default folder that others may write, or that is a link, is refused', async () => {
  const place = join(folder, 'heddle');
  await (await openControl({ name: 'demo' }, new FakeSwitch()))!.close();
  assert.equal(statSync(place).mode & 0o777, 0o700);
  chmodSync(place, 0o777);
  await assert.rejects(openControl({ name: 'demo' }, new FakeSwitch()), /others may write/);
  rmSync(place, { recursive: true });
  symlinkSync(tmpdir(), place);
  await assert.rejects(openControl({ name: 'demo' }, new FakeSwitch()), /others may write/);
});
