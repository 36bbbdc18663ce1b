/**
 * Why a packet was dropped. Every frame that is not forwarded is counted under exactly one of these,
 * per thread; the names shown to people are the constants' names in small letters without `DROP_`.
 */

// Malformed: what the headers say does not fit the frame.
export const DROP_ETH_TRUNCATED: u32 = 0; // shorter than an Ethernet header
export const DROP_VLAN_TRUNCATED: u32 = 1; // ends inside the tag
export const DROP_ARP_TRUNCATED: u32 = 2;
export const DROP_IPV4_TRUNCATED: u32 = 3; // ends inside the header
export const DROP_IPV4_BAD_VERSION: u32 = 4; // version is not 4, or header length under 20
export const DROP_IPV4_BAD_LENGTH: u32 = 5; // total length under the header's or beyond the frame
export const DROP_IPV6_TRUNCATED: u32 = 6;
export const DROP_IPV6_BAD_VERSION: u32 = 7;
export const DROP_IPV6_BAD_LENGTH: u32 = 8; // payload length beyond the frame
export const DROP_TCP_TRUNCATED: u32 = 9; // ends inside the header or its options
export const DROP_UDP_TRUNCATED: u32 = 10;
export const DROP_ICMP_TRUNCATED: u32 = 11;
export const DROP_SCTP_TRUNCATED: u32 = 12;

// Decided by the tables.
export const DROP_FLOW: u32 = 13; // the matching flow says drop, or has no actions
export const DROP_TABLE_MISS: u32 = 14; // no flow matched
export const DROP_OUTPUT_TO_INGRESS: u32 = 15; // the only output was the port it came from
export const DROP_RESERVED_MULTICAST: u32 = 16; // NORMAL: 01:80:c2:00:00:0x is for bridges only
export const DROP_NO_SUCH_PORT: u32 = 17; // output to a port that does not exist
export const DROP_RESUBMIT_LIMIT: u32 = 18; // tables went round in a circle

// No room: queues are bounded, and what does not fit is counted here.
export const DROP_NO_FRAMES: u32 = 19; // no free frame for a copy or a segment
export const DROP_UPCALL_QUEUE_FULL: u32 = 20; // the handler is behind
export const DROP_THREAD_QUEUE_FULL: u32 = 21; // the thread that sends for the output port is behind
export const DROP_BATCH_FULL: u32 = 22; // one batch sent too many copies to one port
export const DROP_TRANSMIT_QUEUE_FULL: u32 = 23; // the port's own queue is full
export const DROP_TRANSMIT_ERROR: u32 = 24; // the kernel refused the frame
export const DROP_TOO_LONG: u32 = 25; // does not fit what the output port can carry
export const DROP_PORT_CLOSED: u32 = 26; // the port is down, or went away while the frame was queued
export const DROP_THREAD_DIED: u32 = 27; // the thread that had it in hand died

export const DROP_REASONS: u32 = 28;
