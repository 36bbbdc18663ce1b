/**
 * All systems, in the order in which a round visits them. Offloads are on only where the system passes
 * 64 KiB segments whole; a row always says which it was. Open vSwitch has AF_XDP twice: `afxdp` polls without
 * pause and takes a core even when idle; `afxdp-nonpmd` sleeps as the others do.
 */
import { heddle } from './heddle.ts';
import { linuxBridge, veth } from './linux.ts';
import { ovs } from './ovs.ts';
import type { System } from './system.ts';

export const SYSTEMS: readonly System[] = [
  heddle('heddle-afxdp', 'afxdp', false),
  heddle('heddle-packet', 'packet', true),
  ovs('ovs-afxdp', { offload: false, type: 'afxdp', options: { 'xdp-mode': 'native' } }),
  ovs('ovs-afxdp-nonpmd', { offload: false, type: 'afxdp-nonpmd', options: { 'xdp-mode': 'native' } }),
  ovs('ovs-packet', { offload: false }),
  ovs('ovs-tso', { offload: true, other: { 'userspace-tso-enable': 'true' } }),
  linuxBridge('linux-bridge', false),
  linuxBridge('linux-bridge-tso', true),
  veth('veth', false),
  veth('veth-tso', true),
];
