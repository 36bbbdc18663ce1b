/**
 * A box that translates between hosts inside, at port 1, and hosts outside, at port 2, made of flows: the real
 * tables, translation, megaflows and packet path on one thread, on a clock that the test moves.
 *
 *     10.0.0.0/24 inside ── 1 │ box │ 2 ── outside: 198.51.100.0/24 and others
 *                               192.0.2.1, its address outside
 */
import type { Network } from '../support/packets.ts';
import { SmallSwitch } from '../upcall/small-switch.ts';
import { frame, written } from './written.ts';

const INSIDE = 1;
const OUTSIDE = 2;
const SIDES = ['', 'inside', 'outside'];

/**
 * Hosts inside share what `nat` gives them. From outside comes in only what belongs to their connections; beside
 * that, what flows of table 1 with a priority above 10 let in. A zone other than 0 is up to flows of table 0 with a
 * priority above 10.
 */
export const shared = (nat = 'src=192.0.2.1', more = ''): string => `
  priority=10,ip,actions=ct(nat,table=1)
  table=1,priority=30,ct_state=+inv+trk,actions=drop
  ${more}
  table=1,priority=10,in_port=1,ip,ct_state=+new+trk,actions=ct(commit,zone=NXM_NX_CT_ZONE[],nat(${nat}),table=2)
  table=1,priority=10,in_port=1,ip,ct_state=-new+trk,actions=2
  table=1,priority=10,in_port=2,ip,ct_state=-new+trk,actions=1
  table=1,priority=10,in_port=2,ip,ct_state=+new+dnat+trk,actions=1
  table=2,ip,ct_state=+snat,actions=2`;

/** Each host inside has an address outside of its own, with the same last number; whoever knows it gets in. */
export const own = (...hosts: number[]): string => {
  const flows = hosts.map(
    (n) => `
      table=1,priority=20,in_port=1,ip,nw_src=10.0.0.${n},ct_state=+new+trk,actions=ct(commit,nat(src=192.0.2.${n}),table=2)
      table=1,priority=20,in_port=2,ip,nw_dst=192.0.2.${n},ct_state=+new+trk,actions=ct(commit,nat(dst=10.0.0.${n})),1`,
  );
  return shared(undefined, flows.join('\n'));
};

/**
 * Both ends of a connection are translated, the destination in zone 1 and the source in zone 2; answers come back
 * the other way round. What is sent to 192.0.2.0/24 goes inside, also from there, all else from inside goes outside.
 * `published`: flows for table 2 by `publish`.
 */
export const twoZones = (...published: string[]): string => `
  priority=20,ip,nw_dst=192.0.2.0/24,actions=load:1->reg1[],ct(zone=2,nat,table=1)
  priority=10,in_port=1,ip,actions=load:2->reg1[],ct(zone=1,nat,table=2)
  table=1,priority=20,ip,ct_state=+rpl+trk,actions=ct(zone=1,nat,table=4)
  table=1,priority=10,ip,actions=ct(zone=1,nat,table=2)
  table=2,priority=30,ct_state=+inv+trk,actions=drop
  table=2,priority=20,ct_state=+rpl+trk,actions=resubmit(,4)
  ${published.join('\n')}
  table=2,priority=10,ct_state=+new+trk,ip,nw_dst=192.0.2.0/24,actions=drop
  table=2,priority=0,actions=resubmit(,3)
  table=3,priority=10,in_port=1,ip,actions=ct(commit,zone=2,nat(src=192.0.2.1),table=4)
  table=3,priority=10,in_port=2,actions=resubmit(,4)
  table=4,reg1=1,actions=load:0->in_port,output:1
  table=4,reg1=2,actions=output:2`;

/** What is sent to `match` goes to `host` and port, if it has one. */
export const publish = (match: string, host: string): string =>
  `table=2,priority=15,ct_state=+new+trk,${match},actions=ct(commit,zone=1,nat(dst=${host}),table=3)`;

export class NatBox extends SmallSwitch {
  constructor(flows = shared()) {
    super(`priority=0,actions=drop\n${flows}`);
  }

  /** Sets timeouts of a zone, such as `udp_first=120,udp_single=120`. */
  setTimeouts(timeouts: string, zone = 0): void {
    this.request({
      command: 'changeZones',
      setting: 'timeouts',
      action: 'set',
      text: `zone=${zone},${timeouts}`,
    });
  }

  /** A host inside sends a packet. What leaves, and where to; nothing: ''. */
  inside(packet: Network): string {
    return this.#pass(INSIDE, packet);
  }

  /** A host outside sends a packet. */
  outside(packet: Network): string {
    return this.#pass(OUTSIDE, packet);
  }

  #pass(port: number, packet: Network): string {
    const sent = this.forward(port, frame(packet));
    return sent.map((one) => `${SIDES[one.port]}: ${written(one.bytes)}`).join('\n');
  }
}
