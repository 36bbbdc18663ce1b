/** What the kernel forwards by itself: its bridge, and a bare cable as the bound that no switch can pass. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { command, lacking } from '../../../src/lab/command.ts';
import type { System } from './system.ts';

export function linuxBridge(name: string, offload: boolean): System {
  return {
    name,
    offload,
    unavailable: async () => lacking('ip'),
    async start({ name: bridge, ports }) {
      const remove = async () => void (await command(['ip', 'link', 'delete', bridge]));
      await command(['ip', 'link', 'add', bridge, 'type', 'bridge']);
      try {
        const ipv6 = `/proc/sys/net/ipv6/conf/${bridge}/disable_ipv6`;
        if (existsSync(ipv6)) writeFileSync(ipv6, '1');
        for (const port of Object.values(ports)) await command(['ip', 'link', 'set', port, 'master', bridge]);
        await command(['ip', 'link', 'set', bridge, 'up']);
      } catch (error) {
        await remove();
        throw error;
      }
      return { parameters: { netfilter: bridgeNetfilter() }, stop: remove };
    },
  };
}

export function veth(name: string, offload: boolean): System {
  return {
    name,
    offload,
    direct: true,
    unavailable: async () => lacking('ip'),
    start: async () => ({ parameters: {}, stop: async () => {} }),
  };
}

/** Whether bridged packets pass iptables as well, which slows them down. */
function bridgeNetfilter(): boolean {
  const setting = '/proc/sys/net/bridge/bridge-nf-call-iptables';
  return existsSync(setting) && readFileSync(setting, 'utf8').trim() === '1';
}
