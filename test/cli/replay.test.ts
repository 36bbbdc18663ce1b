import assert from 'node:assert/strict';
import { existsSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { CaptureWriter } from '../../src/port/capture/writer.ts';
import {
  enhancedPacket,
  interfaceBlock,
  pcapHeader,
  pcapRecord,
  readAll,
  type Shown,
  section,
} from '../capture/build.ts';
import { cutAll, datagram4 } from '../support/fragments.ts';
import { arp, STATION_A, STATION_B, tagged, udp } from '../support/frames.ts';
import { udp as payload } from '../support/packets.ts';
import { file, folder, heddle, type Outcome } from './child.ts';

const START_MS = 1_700_000_000_000;

interface Captured {
  /** Interface in the capture. */
  on?: number;
  atMs: number;
  hex: string;
}

function capture(name: string, interfaces: string[], frames: readonly Captured[]): string {
  const path = join(folder, name);
  const writer = CaptureWriter.create(path, interfaces);
  for (const { on = 0, atMs, hex } of frames) {
    writer.write(on, START_MS + atMs, Buffer.from(hex, 'hex'), 0, hex.length / 2);
  }
  writer.close();
  return path;
}

/** The ports are of a kind that could not be opened here. */
function config(name: string, flows: string): string {
  const ports = ['a', 'b', 'c'].map((port) => `  ${port}: { type: packet, interface: none-${port} }`);
  const block = flows.replace(/^ */gm, '  ').trimEnd();
  return file(name, `ports:\n${ports.join('\n')}\nflows: |\n${block}\n`);
}

const lastLine = ({ stdout }: Outcome): string => stdout.trimEnd().split('\n').at(-1)!;

const shown = (interfaceIndex: number, { atMs, hex }: Captured): Shown => ({
  interfaceIndex,
  timeMs: START_MS + atMs,
  originalLength: hex.length / 2,
  hex,
});

const POLICY = `
  priority=20,arp,actions=drop
  priority=10,ip,nw_dst=10.0.1.0/24,actions=output:b
  priority=10,ip,nw_dst=10.0.2.0/24,actions=mod_vlan_vid:7,output:c
  priority=10,ip,nw_dst=10.0.3.0/24,actions=output:b,output:c
  priority=10,ip,nw_dst=10.0.4.0/24,actions=output:a
`;

/** Frames for every flow of POLICY and none, and malformed ones; each with what becomes of it. */
function policyTraffic(frames: number): {
  input: Captured[];
  output: Shown[];
  fates: Record<string, number>;
} {
  const fates: Record<string, number> = {};
  const output: Shown[] = [];
  const input = Array.from({ length: frames }, (_, i) => {
    const at = { on: i % 2, atMs: (i >> 2) / 8 };
    const host = 1 + ((i * 7) % 200);
    const to = (net: number) => udp({ nwDst: `10.0.${net}.${host}`, payload: 18 + (i % 50) });
    const one = (hex: string, fate: string, ...out: [number, string][]): Captured => {
      fates[fate] = (fates[fate] ?? 0) + 1;
      for (const [port, sent] of out) output.push(shown(port, { ...at, hex: sent }));
      return { ...at, hex };
    };
    switch ((i * 11) % 8) {
      case 0:
        return one(arp(), 'flow');
      case 1:
        // Interface 1 is named b: then it would go back where it came from.
        return i % 2 === 1 ? one(to(1), 'output_to_ingress') : one(to(1), 'forwarded', [1, to(1)]);
      case 2:
        return one(to(2), 'forwarded', [2, tagged(to(2), 7)]);
      case 3:
        return i % 2 === 1
          ? one(to(3), 'forwarded', [2, to(3)])
          : one(to(3), 'forwarded', [1, to(3)], [2, to(3)]);
      case 4:
        return i % 2 === 1 ? one(to(4), 'forwarded', [0, to(4)]) : one(to(4), 'output_to_ingress');
      case 5:
        return one(to(5), 'table_miss');
      case 6:
        return one(to(1).slice(0, 2 * 30), 'ipv4_truncated');
      default:
        return one('020000000001', 'eth_truncated');
    }
  });
  return { input, output, fates };
}

test('every frame has the fate that the policy says, and OUT has what was sent, in order', async () => {
  const { input, output, fates } = policyTraffic(20_000);
  const path = capture('policy.pcapng', ['elsewhere', 'b'], input);
  const out = join(folder, 'policy-out.pcapng');
  const outcome = await heddle(
    'replay',
    path,
    '--config',
    config('policy.yaml', POLICY),
    '--write',
    out,
    '--json',
  ).outcome;
  assert.equal(outcome.stderr, '');
  assert.equal(outcome.code, 0);
  const summary = JSON.parse(lastLine(outcome));
  const { forwarded, ...dropped } = fates;
  assert.deepEqual(summary.dropped, dropped);
  assert.equal(summary.packetsForwarded, forwarded);
  assert.equal(summary.packetsReceived, input.length);
  assert.equal(summary.frames, input.length);
  assert.equal(summary.packetsForwarded + summary.copiesForwarded, output.length);
  assert.equal(summary.durationMs, Math.round(input.at(-1)!.atMs));
  const [a, b] = summary.ports;
  assert.deepEqual([a.rxPackets, b.rxPackets], [input.length / 2, input.length / 2]);

  const { interfaces, frames, ended } = readAll(out);
  assert.deepEqual(
    interfaces.map(({ name }) => name),
    ['a', 'b', 'c'],
  );
  assert.ok(ended);
  assert.deepEqual(frames, output);
});

test('equal input gives equal output, byte for byte', async () => {
  const frames = Array.from({ length: 20_000 }, (_, i): Captured => {
    const [from, to] = [(i * 13) % 97, (i * 29) % 97];
    const mac = (host: number) => `0200000001${host.toString(16).padStart(2, '0')}`;
    const nwDst = `10.0.0.${to}`;
    return { on: from % 3, atMs: i * 3, hex: udp({ ethSrc: mac(from), ethDst: mac(to), nwDst }) };
  });
  const path = capture('normal.pcapng', ['a', 'b', 'c'], frames);
  const yaml = config('normal.yaml', 'actions=NORMAL');
  const outs = ['one.pcapng', 'other.pcapng'].map((name) => join(folder, name));
  const outcomes = await Promise.all(
    outs.map((out) => heddle('replay', path, '--config', yaml, '--write', out, '--json').outcome),
  );
  const [one, other] = outcomes.map((outcome) => {
    const { elapsedMs, packetsPerSecond, ...rest } = JSON.parse(lastLine(outcome));
    return rest;
  });
  assert.deepEqual(one, other);
  assert.ok(one.packetsForwarded > 0 && one.copiesForwarded > 0);
  assert.ok(readFileSync(outs[0]!).equals(readFileSync(outs[1]!)));
});

test('frames come in at the port their interface is named like, others at --port, by default the first', async () => {
  const path = capture(
    'names.pcapng',
    ['eth9', 'c', ''],
    [
      { on: 0, atMs: 0, hex: udp() },
      { on: 1, atMs: 1, hex: udp() },
      { on: 1, atMs: 2, hex: udp() },
      { on: 2, atMs: 3, hex: udp() },
    ],
  );
  const yaml = config('names.yaml', 'actions=drop');
  const received = async (...args: string[]) => {
    const outcome = await heddle('replay', path, '--config', yaml, '--json', ...args).outcome;
    return JSON.parse(lastLine(outcome)).ports.map(({ rxPackets }: { rxPackets: number }) => rxPackets);
  };
  assert.deepEqual(await received(), [2, 0, 2]);
  assert.deepEqual(await received('--port', 'b'), [0, 2, 2]);
});

test('time passes as in the capture: a learned address is forgotten during a long silence', async () => {
  const toA: Captured = { on: 1, atMs: 1, hex: udp({ ethSrc: STATION_B, ethDst: STATION_A }) };
  const path = capture(
    'ageing.pcapng',
    ['a', 'b'],
    [{ on: 0, atMs: 0, hex: udp() }, toA, { ...toA, atMs: 299_000 }, { ...toA, atMs: 301_000 }],
  );
  const out = join(folder, 'ageing-out.pcapng');
  await heddle('replay', path, '--config', config('ageing.yaml', 'actions=NORMAL'), '--write', out).outcome;
  assert.deepEqual(readAll(out).frames, [
    shown(1, { atMs: 0, hex: udp() }),
    shown(2, { atMs: 0, hex: udp() }),
    shown(0, toA),
    shown(0, { ...toA, atMs: 299_000 }),
    shown(0, { ...toA, atMs: 301_000 }),
    shown(2, { ...toA, atMs: 301_000 }),
  ]);
});

test('a datagram in fragments goes on when all are there; what waits in vain is dropped, at the end too', async () => {
  const fragments = (id: number) =>
    cutAll(datagram4({ id }, payload({}, new Uint8Array(2000))), 1480).map((bytes) =>
      Buffer.from(bytes).toString('hex'),
    );
  const [[first, last], [late, tooLate], [alone]] = [1, 2, 3].map(fragments) as [string, string][];
  const input = [
    { atMs: 0, hex: last },
    { atMs: 1000, hex: late },
    { atMs: 2000, hex: first },
    { atMs: 16_000, hex: tooLate },
    { atMs: 17_000, hex: alone },
  ];
  const path = capture('fragments.pcapng', ['a'], input);
  const out = join(folder, 'fragments-out.pcapng');
  const flows = 'ip,ct_state=-trk,actions=ct(commit,table=1)\ntable=1,ip,ct_state=+new,actions=output:b';
  const args = ['replay', path, '--config', config('fragments.yaml', flows), '--write', out, '--json'];
  const summary = JSON.parse(lastLine(await heddle(...args).outcome));
  assert.deepEqual([summary.packetsForwarded, summary.dropped], [2, { fragment_incomplete: 3 }]);
  assert.deepEqual(
    readAll(out).frames,
    [first, last].map((hex) => shown(1, { atMs: 2000, hex })),
  );
});

test('OUT named .pcap has the frames of all ports', async () => {
  const frame = { atMs: 5, hex: udp() };
  const out = join(folder, 'flat.pcap');
  await heddle(
    'replay',
    capture('flat-in.pcap', ['x'], [frame]),
    '--config',
    config('flat.yaml', 'actions=output:b,output:c'),
    '--write',
    out,
  ).outcome;
  const { format, frames } = readAll(out);
  assert.equal(format, 'pcap');
  assert.deepEqual(frames, [shown(0, frame), shown(0, frame)]);
});

test('a frame of which the capture kept only the beginning counts as the whole', async () => {
  const whole = udp({ payload: 1000 });
  const kept = whole.slice(0, 2 * 60);
  const path = join(folder, 'snap.pcap');
  writeFileSync(
    path,
    Buffer.concat([pcapHeader({ little: true }), pcapRecord(true, 1, 0, kept, whole.length / 2)]),
  );
  const out = join(folder, 'snap-out.pcapng');
  const yaml = config('snap.yaml', 'actions=mod_vlan_vid:7,output:b');
  const outcome = await heddle('replay', path, '--config', yaml, '--write', out, '--json').outcome;
  assert.equal(JSON.parse(lastLine(outcome)).packetsForwarded, 1);
  assert.deepEqual(readAll(out).frames, [
    { interfaceIndex: 1, timeMs: 1000, originalLength: whole.length / 2 + 4, hex: tagged(kept, 7) },
  ]);
});

test('a frame longer than any port carries is not received, and counts at its port', async () => {
  const long = `${STATION_B}${STATION_A}88b5${'00'.repeat(70_000)}`;
  const path = capture(
    'long.pcap',
    ['x'],
    [
      { atMs: 0, hex: long },
      { atMs: 1, hex: udp() },
    ],
  );
  const yaml = config('long.yaml', 'actions=output:b');
  const outcome = await heddle('replay', path, '--config', yaml, '--json').outcome;
  const { frames, packetsReceived, ports } = JSON.parse(lastLine(outcome));
  assert.deepEqual([frames, packetsReceived, ports[0].rxErrors], [2, 1, 1]);
});

test('a capture that is cut off: all before it is replayed, then the frame is named', async () => {
  const frames = Array.from({ length: 100 }, (_, i): Captured => ({ atMs: i, hex: udp() }));
  const yaml = config('cut.yaml', 'actions=output:b');
  for (const [name, cutBytes] of [
    ['cut.pcap', 5],
    ['cut.pcapng', 7],
  ] as const) {
    const path = capture(name, ['x'], frames);
    truncateSync(path, readFileSync(path).length - cutBytes);
    const out = join(folder, `${name}-out`);
    const outcome = await heddle('replay', path, '--config', yaml, '--write', out, '--json').outcome;
    assert.equal(outcome.code, 1);
    assert.match(
      outcome.stderr,
      new RegExp(`^heddle: ${path}: frame 100 at byte \\d+: .*the file ends after`, 'm'),
    );
    const { packetsForwarded, error } = JSON.parse(lastLine(outcome));
    assert.equal(packetsForwarded, 99);
    assert.match(error, /frame 100/);
    const read = readAll(out);
    assert.ok(read.ended);
    assert.deepEqual(
      read.frames,
      frames.slice(0, 99).map((frame) => shown(1, frame)),
    );
  }
});

test('a time that OUT cannot hold ends the replay as other damage does', async () => {
  const path = join(folder, 'late.pcapng');
  const tsoffset = 2 ** 33;
  writeFileSync(
    path,
    Buffer.concat([section(true), interfaceBlock(true, { tsoffset }), enhancedPacket(true, 0, 0n, udp())]),
  );
  const yaml = config('late.yaml', 'actions=output:b');
  const out = join(folder, 'late-out.pcapng');
  const outcome = await heddle('replay', path, '--config', yaml, '--write', out, '--json').outcome;
  assert.equal(outcome.code, 1);
  assert.match(outcome.stderr, /late-out\.pcapng: frame 1: time \d+ ms; expected 0 to \d+/);
  assert.equal(JSON.parse(lastLine(outcome)).frames, 1);
  assert.ok(readAll(out).ended);
});

test('for people: what came of the packets, by port, reason and flow', async () => {
  const { input } = policyTraffic(800);
  const path = capture('people.pcapng', ['elsewhere', 'b'], input);
  const { code, stdout } = await heddle('replay', path, '--config', config('people.yaml', POLICY)).outcome;
  assert.equal(code, 0);
  assert.match(stdout, /^people on .*people\.pcapng: 800 frames over 25 ms, replayed in /);
  assert.match(stdout, /^received +800$/m);
  assert.match(stdout, /^dropped .*ipv4_truncated 100/m);
  assert.match(stdout, /^ +100 .*priority=20,arp actions=drop$/m);
  assert.match(stdout, /^5 of 5 flows had packets$/m);
});

test('OUT must not be CAPTURE, under whatever name', async () => {
  const path = capture('same.pcap', ['x'], [{ atMs: 0, hex: udp() }]);
  const before = readFileSync(path);
  const link = join(folder, 'link.pcap');
  symlinkSync(path, link);
  const outcome = await heddle('replay', path, '--config', config('same.yaml', ''), '--write', link).outcome;
  assert.equal(outcome.code, 2);
  assert.match(outcome.stderr, /^heddle: --write: found .*link\.pcap, which is CAPTURE/m);
  assert.ok(readFileSync(path).equals(before));
});

test('what is missing or wrong is named, and OUT is not touched', async () => {
  const yaml = config('wrong.yaml', 'actions=NORMAL');
  const path = capture('fine.pcap', ['x'], [{ atMs: 0, hex: udp() }]);
  const out = join(folder, 'never.pcapng');
  const cases: [args: string[], code: number, message: RegExp][] = [
    [[path], 2, /required option '--config <config>'/],
    [['nowhere.pcap', '--config', yaml], 1, /^heddle: nowhere\.pcap: found no such file, expected a pcap/m],
    [[yaml, '--config', yaml], 1, /wrong\.yaml: at byte 0: not a capture/],
    [[path, '--config', 'nowhere.yaml'], 2, /^nowhere\.yaml: found no such file/m],
    [[path, '--config', config('bad.yaml', 'actions=outptu:b')], 2, /bad\.yaml:\d+:\d+: /],
    [[path, '--config', yaml, '--port', 'z'], 2, /--port: found "z", expected one of a, b, c/],
  ];
  await Promise.all(
    cases.map(async ([args, code, message]) => {
      const outcome = await heddle('replay', ...args, '--write', out).outcome;
      assert.match(outcome.stderr, message);
      assert.equal(outcome.code, code);
      assert.equal(outcome.stdout, '');
    }),
  );
  assert.ok(!existsSync(out));
});
