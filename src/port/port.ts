/**
 * What a port is.
 *
 * It is opened on the control side, where errors can be told to whoever asked, and where it is closed
 * whatever becomes of its thread. Opening yields plain data, from which the datapath thread that owns the
 * port makes its driver; that thread alone calls the driver. Frames for the port from other threads reach
 * its thread through a ring and join the same transmit queue.
 */
import type { TrafficOptions } from './traffic/hosts.ts';

export interface PacketOptions {
  interface: string;
}

export interface AfxdpOptions {
  interface: string;
  queue: number;
  mode: 'auto' | 'native' | 'generic';
}

export interface TapOptions {
  device: string;
  /** Network namespace, as `ip netns` names it, that the device is moved to. */
  namespace?: string | undefined;
  /** What the device is given; undefined: left as it is. */
  mtu?: number | undefined;
  mac?: string | undefined;
  /** With their prefix lengths. */
  addresses: readonly string[];
}

/** Exactly one of `listen` and `connect`: a Unix path or HOST:PORT. */
export interface StreamOptions {
  listen?: string | undefined;
  connect?: string | undefined;
  mtu: number;
}

export interface CaptureOptions {
  /** File that frames come from, at the pace of their times. */
  read?: string | undefined;
  /** Whether the file begins anew when it ends. */
  loop: boolean;
  /** File that frames sent to the port go to. */
  write?: string | undefined;
}

export interface CaptureSpec {
  type: 'capture';
  number: number;
  /** Of the port, and so of the interface in the file. */
  name: string;
  options: CaptureOptions;
  /** When the switch clock began, since 1970: frames are written with their time of day. */
  epochMs: number;
}

/** What a thread needs to drive a port: structured-clonable. */
export type DriverSpec =
  | { type: 'packet'; number: number; fd: number }
  | { type: 'afxdp'; number: number; fd: number; sender: number | undefined }
  | { type: 'traffic'; number: number; options: TrafficOptions }
  | { type: 'stream'; number: number }
  | { type: 'tap'; number: number; fd: number }
  | CaptureSpec;

/** A port as the control side holds it. */
export interface OpenPort {
  driver: DriverSpec;
  mtu: number;
  /** Longest frame that the port takes, in bytes from the Ethernet header on, a VLAN tag not counted. */
  maxLength: number;
  /** Frames that the kernel had no room for, since the port was opened; absent: the port has no such place. */
  missed?(): number;
  /** Lets go of everything. The driver must have stopped. */
  close(): void;
}

export interface Port {
  /** Descriptors that become readable when `poll` has work; the thread sleeps on them. */
  readonly descriptors: readonly number[];

  /** Receives at most one batch, runs it through the datapath, and returns how many frames it had. */
  poll(nowMs: number): number;

  /** Sends the frames that the datapath queued for this port. Called only when there are some. */
  transmit(nowMs: number): void;

  /** When `poll` will have work though no descriptor is ready, on the switch clock; Infinity: never. */
  dueMs(): number;

  /** Lets go of what the thread's side holds. */
  close(): void;
}
