/** The command `heddle trace`: where the packet comes from, where it is traced, and what is printed. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';
import { CaptureWriter } from '../../src/port/capture/writer.ts';
import { arp, tagged, udp } from '../support/frames.ts';
import { fakeRun, file, folder, heddle, said } from './child.ts';

const CONFIG = file(
  'trace.yaml',
  `
ports:
  web: { type: packet, interface: none-a }
  bob: { type: packet, interface: none-b }
flows: |
  priority=30,arp,actions=NORMAL
  priority=20,cookie=0x2a,udp,nw_dst=10.9.0.2,actions=push_vlan:0x8100,set_field:4103->vlan_vid,resubmit(,1)
  table=1,dl_vlan=7,actions=bob
`,
);
const UDP = 'in_port=web,udp,nw_src=10.9.0.1,nw_dst=10.9.0.2,tp_src=1000,tp_dst=2000';

function capture(name: string, ...frames: string[]): string {
  const path = join(folder, name);
  const writer = CaptureWriter.create(path, ['any']);
  for (const hex of frames) writer.write(0, 0, Buffer.from(hex, 'hex'), 0, hex.length / 2);
  writer.close();
  return path;
}

async function traced(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await heddle('trace', ...args).outcome;
  assert.equal(code, 0, stderr);
  return stdout;
}

test('prints why a packet goes where it goes', async () => {
  const flow =
    'nw_src=10.9.0.1,nw_dst=10.9.0.2,nw_tos=0,nw_ecn=0,nw_ttl=64,nw_frag=no,tp_src=1000,tp_dst=2000';
  const stations = 'dl_src=00:00:00:00:00:00,dl_dst=00:00:00:00:00:00';
  assert.equal(
    await traced(CONFIG, UDP),
    `Flow: udp,in_port=web,vlan_tci=0x0000,${stations},${flow}

bridge("trace")
---------------
 0. udp,nw_dst=10.9.0.2, priority 20, cookie 0x2a
     not arp, priority 30: dl_type is 0x0800, not 0x0806
    push_vlan:0x8100
    set_field:4103->vlan_vid
    resubmit(,1)
     1. dl_vlan=7, priority 32768
        output:bob

Final flow: udp,in_port=web,dl_vlan=7,dl_vlan_pcp=0,${stations},${flow}
Megaflow: recirc_id(0),in_port(web),eth_type(0x0800),ipv4(dst=10.9.0.2,proto=17,frag=no)
Datapath actions: push_vlan(vid=7,pcp=0),bob
Now: no megaflow takes it, it goes to the handler

Verdict: sent to bob, 46 bytes, with udp,dl_vlan=7,dl_vlan_pcp=0
`,
  );
});

test('takes a frame in hex, and one of a capture', async () => {
  const spaced = udp().replace(/../g, '$&:').slice(0, -1);
  for (const name of ['frames.pcap', 'frames.pcapng']) {
    const path = capture(name, arp(), udp(), tagged(udp(), 5));
    const [hex, captured] = await Promise.all([
      traced(CONFIG, spaced, '--port', 'web'),
      traced(CONFIG, '--capture', path, '--frame', '2', '--port', 'web'),
    ]);
    assert.match(hex, /Verdict: sent to bob, 64 bytes, with udp,dl_vlan=7,dl_vlan_pcp=0\n/);
    assert.equal(captured, hex);
  }
});

test('--json prints one object', async () => {
  const { name, rounds, verdict } = JSON.parse(await traced(CONFIG, UDP, '--json'));
  assert.deepEqual([name, rounds.length, rounds[0].liveMegaflow], ['trace', 1, null]);
  assert.deepEqual(
    verdict.sent.map(({ port }: { port: string }) => port),
    ['bob'],
  );
});

test('--why-not says why a flow did not apply', async () => {
  const text = await traced(CONFIG, UDP, '--why-not', 'priority=30,arp');
  assert.match(
    text,
    /Why not table=0,priority=30,arp:\n {4}it does not match: dl_type is 0x0800, not 0x0806\n$/,
  );
});

test('without a configuration a running switch is asked', async () => {
  const child = fakeRun(CONFIG);
  await said(child, 'ready');
  try {
    assert.match(await traced(UDP), /^Verdict: dropped, flow \(that is what the flow says\)\n$/);
  } finally {
    child.process.kill('SIGTERM');
    await child.outcome;
  }
});

test('wrong arguments are named, with what was expected', async () => {
  const one = capture('one.pcap', arp());
  const wrong: [string[], RegExp][] = [
    [[], /found no PACKET, expected a flow or a frame in hex/],
    [[CONFIG, UDP, 'more'], /found "more", expected no more behind PACKET/],
    [[CONFIG, UDP, '--name', 'demo'], /found CONFIG .* and --name, expected one of them/],
    [[CONFIG, udp()], /found a frame without --port/],
    [[CONFIG, '000', '--port', 'web'], /found 3 hexadecimal digits, expected two for each byte/],
    [[CONFIG, UDP, '--port', 'web'], /found --port with a flow, expected in_port=PORT in it/],
    [[CONFIG, UDP, '--frame', '1'], /found --frame without --capture/],
    [
      [CONFIG, 'in_port=nobody,udp'],
      /packet: line 1, column 9: no port "nobody"; expected a number or one of web, bob/,
    ],
    [[CONFIG, UDP, '--why-not', 'udp,tp_dst=x'], /--why-not: line 1, column 12: "x"; expected/],
    [[CONFIG, udp(), '--port', 'nobody'], /--port: .*no port "nobody"/],
    [['none.yaml', UDP], /none\.yaml/],
  ];
  const outcomes = await Promise.all(wrong.map(([args]) => heddle('trace', ...args).outcome));
  for (const [i, { code, stdout, stderr }] of outcomes.entries()) {
    assert.match(stderr, wrong[i]![1]);
    assert.deepEqual([code, stdout], [2, ''], wrong[i]![0].join(' '));
  }
  const { code, stderr } = await heddle('trace', CONFIG, '--capture', one, '--frame', '9', '--port', 'web')
    .outcome;
  assert.match(stderr, /one\.pcap: found 1 frames?, expected a frame 9/);
  assert.equal(code, 1);
});
