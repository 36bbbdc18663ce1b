/** What a traffic port's hosts are told, from the configuration of the port and of those that they talk to. */
import type { TrafficOptions } from '../port/traffic/hosts.ts';
import type { PortConfig, TrafficConfig } from './config.ts';

export function trafficOptions(port: TrafficConfig, ports: readonly PortConfig[]): TrafficOptions {
  const peers = ports.filter((peer): peer is TrafficConfig => port.peers.includes(peer.name));
  return {
    hosts: port.hosts,
    network: port.network,
    portNumber: port.number,
    peers: peers.map(({ number, hosts }) => ({ portNumber: number, hosts })),
    connectionsPerSecond: port.connectionsPerSecond,
    mix: { tcp: port.mix.http, udp: port.mix.dns, ping: port.mix.ping },
    bytesPerConnection: port.bytesPerConnection,
    ipv6: port.ipv6 ? 0.5 : 0,
    vlan: port.vlan,
    seed: port.seed,
  };
}
