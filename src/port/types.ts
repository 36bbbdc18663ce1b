/** The port types by name. The code of one is loaded when a port of it is used. */
import type { Datapath } from '../datapath.ts';
import { OpenPort } from './open-port.ts';
import type { DriverSpec, Port, PortBasics, PortContext, PortType } from './port.ts';

const TYPES = {
  packet: () => import('./packet.ts'),
  afxdp: () => import('./afxdp.ts'),
  tap: () => import('./tap.ts'),
  stream: () => import('./stream.ts'),
  traffic: () => import('./traffic.ts'),
  capture: () => import('./capture.ts'),
  load: () => import('../bench/load-port.ts'),
};

/** What a type's file exports, as seen by somebody who does not know which type it is. */
interface AnyType {
  portType: PortType<PortBasics, DriverSpec>;
}

async function load(type: string): Promise<AnyType['portType']> {
  const file = await TYPES[type as keyof typeof TYPES]();
  return (file as unknown as AnyType).portType;
}

/** Opens a port of type `type` with all its queues. @throws Error saying why that cannot be. */
export async function openPort(type: string, options: PortBasics, context: PortContext): Promise<OpenPort> {
  const { open } = await load(type);
  return new OpenPort(await open(options, context), options.queues);
}

/** Makes the thread's side of a queue from what opening it told. */
export async function createDriver(datapath: Datapath, spec: DriverSpec): Promise<Port> {
  const { drive } = await load(spec.type);
  return drive(datapath, spec);
}
