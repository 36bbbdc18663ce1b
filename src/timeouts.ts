/**
 * Timeouts of connections by name: `udpFirst` in a configuration and in JSON, `udp_first` in Open vSwitch and on the
 * command line.
 */

export const TIMEOUT_NAMES = [
  'tcpSynSent',
  'tcpSynRecv',
  'tcpEstablished',
  'tcpFinWait',
  'tcpTimeWait',
  'tcpClose',
  'udpFirst',
  'udpSingle',
  'udpMultiple',
  'icmpFirst',
  'icmpReply',
] as const;
export type TimeoutName = (typeof TIMEOUT_NAMES)[number];

/** In seconds; those that are not there are the default ones. */
export type Timeouts = Partial<Record<TimeoutName, number>>;

/** Whole seconds whose milliseconds fit 32 bits. */
export const MOST_TIMEOUT_SECONDS = 4_294_967;

/** As Open vSwitch spells it. */
export const ovsName = (name: TimeoutName): string =>
  name.replace(/[A-Z]/g, (capital) => `_${capital.toLowerCase()}`);
