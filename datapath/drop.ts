/**
 * Why a packet was dropped. Every frame that is not forwarded is counted under exactly one of these, per
 * thread; the names shown to people are the constants' names in small letters without `DROP_`. There is room
 * for 64 of them (counters.ts).
 */

/** In place of a reason: there is none. */
export const PARSED: u32 = 0xffffffff;

// Malformed: what the headers say does not fit the frame.
export const DROP_ETH_TRUNCATED: u32 = 0; // shorter than an Ethernet header
export const DROP_VLAN_TRUNCATED: u32 = 1; // ends inside a tag
export const DROP_MPLS_TRUNCATED: u32 = 2; // ends inside a label stack entry, with no bottom of stack before
export const DROP_ARP_TRUNCATED: u32 = 3;
export const DROP_IPV4_TRUNCATED: u32 = 4; // ends inside the header
export const DROP_IPV4_BAD_VERSION: u32 = 5; // version is not 4, or header length under 20
export const DROP_IPV4_BAD_LENGTH: u32 = 6; // total length under the header's or beyond the frame
export const DROP_IPV6_TRUNCATED: u32 = 7;
export const DROP_IPV6_BAD_VERSION: u32 = 8;
export const DROP_IPV6_BAD_LENGTH: u32 = 9; // payload length beyond the frame
export const DROP_IPV6_EXTENSION_TRUNCATED: u32 = 10; // ends inside an extension header
export const DROP_IPV6_TOO_MANY_EXTENSIONS: u32 = 11; // more extension headers than anybody needs
export const DROP_TCP_TRUNCATED: u32 = 12; // ends inside the header or its options
export const DROP_TCP_BAD_OFFSET: u32 = 13; // data offset under the header's 20 bytes
export const DROP_UDP_TRUNCATED: u32 = 14;
export const DROP_ICMP_TRUNCATED: u32 = 15;
export const DROP_ND_TRUNCATED: u32 = 16; // neighbour discovery: ends inside the target
export const DROP_ND_BAD_OPTION: u32 = 17; // an option of no length, beyond the packet, or said twice
export const DROP_SCTP_TRUNCATED: u32 = 18;

// Decided by the tables.
export const DROP_FLOW: u32 = 19; // the matching flow says drop, or has no actions
export const DROP_TABLE_MISS: u32 = 20; // no flow matched
export const DROP_OUTPUT_TO_INGRESS: u32 = 21; // the only output was the port it came from
export const DROP_RESERVED_MULTICAST: u32 = 22; // NORMAL: 01:80:c2:00:00:0x is for bridges only
export const DROP_NO_SUCH_PORT: u32 = 23; // output to a port that does not exist
export const DROP_RESUBMIT_LIMIT: u32 = 24; // tables went round in a circle
export const DROP_TTL_EXPIRED: u32 = 25; // dec_ttl: the packet's time to live is up
export const DROP_NO_SUCH_GROUP: u32 = 26; // the flow names a group that does not exist
export const DROP_NO_LIVE_BUCKET: u32 = 27; // the group has no bucket that is alive
export const DROP_NO_SUCH_METER: u32 = 28; // the flow names a meter that does not exist
export const DROP_RECIRCULATION_LOST: u32 = 29; // what was to be done after another round is forgotten
export const DROP_STATE_FULL: u32 = 30; // no room to note what is to be done later

// No room: queues are bounded, and what does not fit is counted here.
export const DROP_NO_FRAMES: u32 = 31; // no free frame for a copy or a segment
export const DROP_UPCALL_QUEUE_FULL: u32 = 32; // the port has its share of the queue to the handler
export const DROP_THREAD_QUEUE_FULL: u32 = 33; // the thread that sends for the output port is behind
export const DROP_BATCH_FULL: u32 = 34; // one batch sent too many copies to one port
export const DROP_TRANSMIT_QUEUE_FULL: u32 = 35; // the port's own queue is full
export const DROP_TRANSMIT_ERROR: u32 = 36; // the kernel refused the frame
export const DROP_TOO_LONG: u32 = 37; // does not fit what the output port can carry
export const DROP_PORT_CLOSED: u32 = 38; // the port is down, or went away while the frame was queued

// Decided while the program runs.
export const DROP_METER: u32 = 39; // over the rate of a meter
export const DROP_RECIRCULATION_LIMIT: u32 = 40; // went round too often
export const DROP_CONTROLLER_QUEUE_FULL: u32 = 41; // no controller takes it now
export const DROP_BAD_PROGRAM: u32 = 42; // nested too deep, or not a program at all

// Nobody's decision.
export const DROP_THREAD_DIED: u32 = 43; // the thread that had it in hand died

// Fragments that were to be tracked, and their datagram with them, but for DROP_FRAGMENT_DUPLICATE.
export const DROP_FRAGMENT_INCOMPLETE: u32 = 44; // the others did not come in time
export const DROP_FRAGMENT_OVERLAP: u32 = 45; // two have the same bytes, or both are the last
export const DROP_FRAGMENT_DUPLICATE: u32 = 46; // it was there already
export const DROP_FRAGMENT_TOO_LONG: u32 = 47; // more bytes than IP can say, or other ones than were cut

export const DROP_REASONS: u32 = 48;
