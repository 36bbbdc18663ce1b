/**
 * ICMP as rules speak of it. Rules decide about what begins a connection, and of ICMP that are queries: RFC 792 for
 * IPv4, RFC 4443 §4 for IPv6. Errors belong to the connection that they are about.
 */
export type IcmpProtocol = keyof typeof QUERIES;

const QUERIES = {
  icmp: { echo: 8, timestamp: 13, information: 15 },
  icmpv6: { echo: 128 },
} as const;

export const QUERY_NAMES = Object.keys(QUERIES.icmp);

export const isIcmp = (protocol: unknown): protocol is IcmpProtocol =>
  Object.keys(QUERIES).includes(protocol as string);

/** The type of a query, by its name or number; undefined: the protocol has no such query. */
export function queryType(protocol: IcmpProtocol, query: string | number): number | undefined {
  return Object.entries(QUERIES[protocol]).find((one) => (one as unknown[]).includes(query))?.[1];
}
