/**
 * All systems, in the order in which a round visits them. The hosts' offloads are on only where the system
 * passes 64 KiB segments whole; a row always says which it was. AF_XDP cannot take a host's partial checksums,
 * so there the hosts' are off and the switch's ends are as the kernel makes them; `-off` has both ends off.
 * Open vSwitch has AF_XDP twice: `afxdp` polls without pause and takes a core even when idle; `afxdp-nonpmd`
 * sleeps as the others do.
 */
import { heddle } from './heddle.ts';
import { linuxBridge, veth } from './linux.ts';
import { ovs } from './ovs.ts';
import type { System } from './system.ts';

export const SYSTEMS: readonly System[] = [
  heddle('heddle-afxdp', 'afxdp', 'port'),
  heddle('heddle-afxdp-off', 'afxdp', false),
  heddle('heddle-packet', 'packet', true),
  ovs('ovs-afxdp', { offload: 'port', type: 'afxdp', options: { 'xdp-mode': 'native' } }),
  ovs('ovs-afxdp-off', { offload: false, type: 'afxdp', options: { 'xdp-mode': 'native' } }),
  ovs('ovs-afxdp-nonpmd', { offload: 'port', type: 'afxdp-nonpmd', options: { 'xdp-mode': 'native' } }),
  ovs('ovs-packet', { offload: false }),
  ovs('ovs-tso', { offload: true, other: { 'userspace-tso-enable': 'true' } }),
  linuxBridge('linux-bridge', false),
  linuxBridge('linux-bridge-tso', true),
  veth('veth', false),
  veth('veth-tso', true),
];
