/**
 * Timeouts of connections by name: `udpFirst` in a configuration and in JSON, `udp_first` in Open vSwitch and on the
 * command line.
 */
import {
  POLICIES,
  TIMEOUT_ICMP_FIRST,
  TIMEOUT_ICMP_REPLY,
  TIMEOUT_TCP_CLOSE,
  TIMEOUT_TCP_ESTABLISHED,
  TIMEOUT_TCP_FIN_WAIT,
  TIMEOUT_TCP_SYN_RECV,
  TIMEOUT_TCP_SYN_SENT,
  TIMEOUT_TCP_TIME_WAIT,
  TIMEOUT_UDP_FIRST,
  TIMEOUT_UDP_MULTIPLE,
  TIMEOUT_UDP_SINGLE,
} from './generated/layout.ts';

/** Their numbers in the datapath. */
export const TIMEOUTS = {
  tcpSynSent: TIMEOUT_TCP_SYN_SENT,
  tcpSynRecv: TIMEOUT_TCP_SYN_RECV,
  tcpEstablished: TIMEOUT_TCP_ESTABLISHED,
  tcpFinWait: TIMEOUT_TCP_FIN_WAIT,
  tcpTimeWait: TIMEOUT_TCP_TIME_WAIT,
  tcpClose: TIMEOUT_TCP_CLOSE,
  udpFirst: TIMEOUT_UDP_FIRST,
  udpSingle: TIMEOUT_UDP_SINGLE,
  udpMultiple: TIMEOUT_UDP_MULTIPLE,
  icmpFirst: TIMEOUT_ICMP_FIRST,
  icmpReply: TIMEOUT_ICMP_REPLY,
} as const;

export type TimeoutName = keyof typeof TIMEOUTS;
export const TIMEOUT_NAMES = Object.keys(TIMEOUTS) as TimeoutName[];

/** In seconds; those that are not there are the default ones. */
export type Timeouts = Partial<Record<TimeoutName, number>>;

/** Whole seconds whose milliseconds fit 32 bits. */
export const MOST_TIMEOUT_SECONDS = 4_294_967;

/** Of which each has a policy of its own; all others share one. */
export const MOST_ZONES_WITH_TIMEOUTS = POLICIES - 1;

/** As Open vSwitch spells it. */
export const ovsName = (name: TimeoutName): string =>
  name.replace(/[A-Z]/g, (capital) => `_${capital.toLowerCase()}`);
