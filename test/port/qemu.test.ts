/**
 * Real QEMU on both ends: a virtual machine that has nothing but its network card's boot ROM, and another QEMU
 * whose user-mode network has the DHCP, TFTP and HTTP that it boots from.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { end, lacking } from '../../src/lab/command.ts';
import { withSwitch } from '../support/switch.ts';

const QEMU = 'qemu-system-x86_64';
const skip = lacking(QEMU) ?? false;

/** Starts QEMU without a display or devices of its own; it ends with the test. */
function qemu(t: TestContext, ...args: string[]): ChildProcess {
  const quiet = ['-nodefaults', '-display', 'none', '-monitor', 'none'];
  const child = spawn(QEMU, [...quiet, ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
  t.after(() => end(child, 'SIGKILL'));
  return child;
}

const stream = (id: string, server: 'on' | 'off', path: string): string =>
  `stream,id=${id},server=${server},addr.type=unix,addr.path=${path}`;

/** A user-mode network behind a stream that listens at `path`: 10.0.2.2 is this host, and serves `files`. */
function network(t: TestContext, path: string, files: string): ChildProcess {
  const hub = (id: string, netdev: string) => ['-netdev', `hubport,id=${id},hubid=0,netdev=${netdev}`];
  const user = ['-netdev', `user,id=user,tftp=${files},bootfile=boot.ipxe`, ...hub('a', 'user')];
  return qemu(t, '-M', 'none', ...user, '-netdev', stream('wire', 'on', path), ...hub('b', 'wire'));
}

/** A machine that boots from the network at the other end of `path`. */
function machine(t: TestContext, path: string): ChildProcess {
  const card = ['-device', 'virtio-net-pci,netdev=wire', '-netdev', stream('wire', 'off', path)];
  return qemu(t, '-M', 'pc', '-m', '64', '-boot', 'n', ...card);
}

const BIG = Buffer.alloc(8 << 20, 'heddle ');

test('a virtual machine boots over the switch', { skip, timeout: 120_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'heddle-qemu-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.headers['user-agent']?.split('/')[0]} ${request.url}`);
    response.end(BIG);
  });
  t.after(() => server.close().closeAllConnections());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const url = `http://10.0.2.2:${(server.address() as AddressInfo).port}`;
  writeFileSync(join(folder, 'boot.ipxe'), `#!ipxe\nimgfetch ${url}/big\nimgfetch ${url}/whole\n`);

  const [vm, wire] = [join(folder, 'vm.sock'), join(folder, 'wire.sock')];
  const ports = { vm: { type: 'stream', listen: vm }, world: { type: 'stream', connect: wire } };
  await withSwitch(t, { ports }, async (heddle) => {
    network(t, wire, folder);
    machine(t, vm);
    while (asked.length < 2) await once(server, 'request');
    assert.deepEqual(asked, ['iPXE /big', 'iPXE /whole']);
    const [, world] = await heddle.show('ports');
    assert.ok(world!.rxBytes > BIG.length);
  });
});
