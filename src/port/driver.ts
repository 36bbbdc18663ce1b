/** Makes the thread's side of a port from what opening it told. Kernel ports are loaded when one is used. */
import type { Datapath } from '../datapath.ts';
import type { DriverSpec, Port } from './port.ts';

export async function createDriver(datapath: Datapath, spec: DriverSpec): Promise<Port> {
  switch (spec.type) {
    case 'packet': {
      const { PacketPort } = await import('./packet.ts');
      return new PacketPort(datapath, spec.number, spec.fd);
    }
    case 'afxdp': {
      const { AfxdpPort } = await import('./afxdp.ts');
      return new AfxdpPort(datapath, spec.number, spec.fd, spec.sender);
    }
    case 'traffic': {
      const { TrafficPort } = await import('./traffic.ts');
      return new TrafficPort(datapath, spec.number, spec.options);
    }
    case 'tap': {
      const { TapPort } = await import('./tap.ts');
      return new TapPort(datapath, spec.number, spec.fd);
    }
    case 'stream': {
      const { StreamPort } = await import('./stream.ts');
      return new StreamPort(datapath, spec.number);
    }
    case 'capture': {
      const { CapturePort } = await import('./capture.ts');
      return new CapturePort(datapath, spec);
    }
  }
}
