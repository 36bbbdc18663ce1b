/** Lines of connections, as tools that read those of Open vSwitch and Linux expect them. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { ConnectionRow, ConnectionTuple } from '../../src/model.ts';
import { connectionEventLine, connectionLine, type LineStyle } from '../../src/view/connection.ts';
import { CONNECTION } from '../control/fake-switch.ts';

const OVS: LineStyle = { format: 'ovs' };
const LINUX: LineStyle = { format: 'linux' };

const way = (src: string, dst: string, rest: Partial<ConnectionTuple>): ConnectionTuple => ({
  src,
  dst,
  packets: 0,
  bytes: 0,
  ...rest,
});

/** Without what only TCP has. */
const { state: _, originalState: __, replyState: ___, ...STATELESS } = CONNECTION;

const PING: ConnectionRow = {
  ...STATELESS,
  protocol: 1,
  original: way('10.1.1.1', '10.1.1.2', { id: 17, type: 8, code: 0 }),
  reply: way('10.1.1.2', '10.1.1.1', { id: 17, type: 0, code: 0 }),
  expiresSeconds: 29.2,
};

const PING6: ConnectionRow = {
  ...STATELESS,
  protocol: 58,
  original: way('fc00::1', 'fc00::2', { id: 17, type: 128, code: 0 }),
  reply: way('fc00::2', 'fc00::1', { id: 17, type: 129, code: 0 }),
};

const VRRP: ConnectionRow = {
  ...STATELESS,
  protocol: 112,
  original: way('192.168.0.30', '224.0.0.18', { sport: 0, dport: 0 }),
  reply: way('224.0.0.18', '192.168.0.30', { sport: 0, dport: 0 }),
  replied: false,
  expiresSeconds: 59.9,
};

const UDP: ConnectionRow = {
  ...STATELESS,
  protocol: 17,
  original: way('10.1.1.1', '10.1.1.2', { sport: 1, dport: 2, packets: 1, bytes: 60 }),
  reply: way('10.1.1.2', '10.1.1.1', { sport: 2, dport: 1 }),
  replied: false,
  expiresSeconds: 60,
};

const LINES: readonly [what: string, row: ConnectionRow, style: LineStyle, line: string][] = [
  [
    'TCP',
    CONNECTION,
    OVS,
    'tcp,orig=(src=10.0.1.2,dst=10.0.2.2,sport=41000,dport=80),reply=(src=10.0.2.2,dst=10.0.1.2,sport=80,dport=41000),protoinfo=(state=ESTABLISHED)',
  ],
  [
    'TCP',
    CONNECTION,
    LINUX,
    'tcp      6 431999 ESTABLISHED src=10.0.1.2 dst=10.0.2.2 sport=41000 dport=80 src=10.0.2.2 dst=10.0.1.2 sport=80 dport=41000 [ASSURED] mark=0 use=1',
  ],
  [
    'ICMP',
    PING,
    OVS,
    'icmp,orig=(src=10.1.1.1,dst=10.1.1.2,id=17,type=8,code=0),reply=(src=10.1.1.2,dst=10.1.1.1,id=17,type=0,code=0)',
  ],
  [
    'ICMP',
    PING,
    LINUX,
    'icmp     1 29 src=10.1.1.1 dst=10.1.1.2 type=8 code=0 id=17 src=10.1.1.2 dst=10.1.1.1 type=0 code=0 id=17 mark=0 use=1',
  ],
  [
    'ICMPv6',
    PING6,
    OVS,
    'icmpv6,orig=(src=fc00::1,dst=fc00::2,id=17,type=128,code=0),reply=(src=fc00::2,dst=fc00::1,id=17,type=129,code=0)',
  ],
  [
    'a protocol without a name',
    VRRP,
    OVS,
    '112,orig=(src=192.168.0.30,dst=224.0.0.18,sport=0,dport=0),reply=(src=224.0.0.18,dst=192.168.0.30,sport=0,dport=0)',
  ],
  [
    'a protocol without a name',
    VRRP,
    LINUX,
    'unknown  112 59 src=192.168.0.30 dst=224.0.0.18 [UNREPLIED] src=224.0.0.18 dst=192.168.0.30 mark=0 use=1',
  ],
  [
    'UDP that nobody has answered',
    UDP,
    LINUX,
    'udp      17 60 src=10.1.1.1 dst=10.1.1.2 sport=1 dport=2 [UNREPLIED] src=10.1.1.2 dst=10.1.1.1 sport=2 dport=1 mark=0 use=1',
  ],
  [
    'zone, mark and labels',
    { ...CONNECTION, zone: 5, mark: 170, labels: '0xaa00000000', state: 'TIME_WAIT' },
    OVS,
    'tcp,orig=(src=10.0.1.2,dst=10.0.2.2,sport=41000,dport=80),reply=(src=10.0.2.2,dst=10.0.1.2,sport=80,dport=41000),zone=5,mark=170,labels=0xaa00000000,protoinfo=(state=TIME_WAIT)',
  ],
  [
    'zone and mark',
    { ...CONNECTION, zone: 5, mark: 170, state: 'CLOSING' },
    LINUX,
    'tcp      6 431999 FIN_WAIT src=10.0.1.2 dst=10.0.2.2 sport=41000 dport=80 src=10.0.2.2 dst=10.0.1.2 sport=80 dport=41000 [ASSURED] mark=170 zone=5 use=1',
  ],
  [
    'what was counted; nothing of a direction without packets',
    { ...UDP, zone: 3, mark: 1 },
    { ...OVS, stats: true },
    'udp,orig=(src=10.1.1.1,dst=10.1.1.2,sport=1,dport=2,packets=1,bytes=60),reply=(src=10.1.1.2,dst=10.1.1.1,sport=2,dport=1),zone=3,timeout=60,mark=1',
  ],
  [
    'what was counted',
    UDP,
    { ...LINUX, stats: true },
    'udp      17 60 src=10.1.1.1 dst=10.1.1.2 sport=1 dport=2 packets=1 bytes=60 [UNREPLIED] src=10.1.1.2 dst=10.1.1.1 sport=2 dport=1 packets=0 bytes=0 mark=0 use=1',
  ],
  [
    'a handshake of which half is over',
    { ...CONNECTION, replyState: 'SYN_SENT' },
    LINUX,
    'tcp      6 431999 SYN_RECV src=10.0.1.2 dst=10.0.2.2 sport=41000 dport=80 src=10.0.2.2 dst=10.0.1.2 sport=80 dport=41000 mark=0 use=1',
  ],
  [
    'a handshake that has begun',
    { ...CONNECTION, state: 'SYN_SENT', originalState: 'SYN_SENT', replyState: 'CLOSED', replied: false },
    LINUX,
    'tcp      6 431999 SYN_SENT src=10.0.1.2 dst=10.0.2.2 sport=41000 dport=80 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=80 dport=41000 mark=0 use=1',
  ],
];

for (const [what, row, style, line] of LINES) {
  test(`${what}, as ${style.format === 'ovs' ? 'Open vSwitch' : 'Linux'} has it`, () => {
    assert.equal(connectionLine(row, style), line);
  });
}

test('events, as conntrack -E has them: what has ended has no time left', () => {
  const event = { atMs: 1234, connection: UDP };
  const rest =
    'src=10.1.1.1 dst=10.1.1.2 sport=1 dport=2 [UNREPLIED] src=10.1.1.2 dst=10.1.1.1 sport=2 dport=1 mark=0 use=1';
  assert.equal(connectionEventLine({ kind: 'new', ...event }, LINUX), `    [NEW] udp      17 60 ${rest}`);
  assert.equal(connectionEventLine({ kind: 'update', ...event }, LINUX), ` [UPDATE] udp      17 60 ${rest}`);
  assert.equal(
    connectionEventLine({ kind: 'destroy', reason: 'expired', ...event }, LINUX),
    `[DESTROY] udp      17 ${rest}`,
  );
});

test('events with their time and reason', () => {
  const event = { atMs: 1234, connection: UDP };
  const line = connectionLine(UDP, OVS);
  assert.equal(connectionEventLine({ kind: 'new', ...event }, OVS), `1.234s new: ${line}`);
  assert.equal(
    connectionEventLine({ kind: 'destroy', reason: 'flushed', ...event }, OVS),
    `1.234s destroyed reason=flushed: ${line}`,
  );
});
