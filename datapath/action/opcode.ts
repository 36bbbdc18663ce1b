/**
 * The action program of a datapath flow: 32-bit words, each operation followed by its operands.
 * The slow path writes programs, `execute.ts` runs them. A program ends with OP_END.
 *
 *     OP_END
 *     OP_OUTPUT       port
 *     OP_SET          offset, value, mask      key bytes offset..offset+3 (a multiple of 4), as in memory
 *     OP_PUSH_VLAN    tpid << 16 | tci         host order
 *     OP_POP_VLAN
 *     OP_DROP         reason                   a fate for the packet, unless something behind takes it
 *     OP_PUSH_MPLS    ethertype, entry         host order; the entry with its bottom-of-stack bit
 *     OP_POP_MPLS     ethertype                host order; what the frame is afterwards
 *     OP_TRUNCATE     bytes                    the next OP_OUTPUT or OP_CONTROLLER sends at most so many
 *     OP_METER        meter                    drops the packet, or goes on
 *     OP_CLONE        program                  runs the program on a copy
 *     OP_SAMPLE       probability, program     the same for `probability` of 2³²-1 packets
 *     OP_SELECT       basis, n, n × (salt, weight), n × program
 *                                              the same with one of the programs, chosen by the connection
 *     OP_TALLY        tally                    counts the packet and its bytes there
 *     OP_CONTROLLER   punt                     to the handler, which knows what the number means
 *     OP_RECIRCULATE  recirculation            the packet is parsed and looked up again, under this number of 16 bits
 *     OP_CT           flags, zone, mark, mark mask
 *                                              tracks the packet in a zone; CT_COMMIT: makes a connection of it, and
 *                                              sets bits of its mark
 *     OP_CT_LABEL     value (4), mask (4)      for the next OP_CT: sets bits of the label, words as in the key
 *     OP_CT_NAT       flags, first address (4), last address (4), first port | last port << 16
 *                                              for the next OP_CT: how a new connection is to be translated; addresses
 *                                              in network order, an IPv4 address in the first word; ports in host order
 *     OP_CT_CLEAR                              the packet is as if it had not been tracked
 *
 * OP_SET names the place by the flow key: the packet's header behind those key bytes gets
 * `old & ~mask | value`, and every checksum over it is kept right. The key itself does not change.
 *
 * A program inside another stands right behind its operation's words and has an OP_END of its own. What it does
 * to the packet, the program around it does not see. Programs stand in each other MAX_NESTING deep at most.
 */
export const OP_END: u32 = 0;
export const OP_OUTPUT: u32 = 1;
export const OP_SET: u32 = 2;
export const OP_PUSH_VLAN: u32 = 3;
export const OP_POP_VLAN: u32 = 4;
export const OP_DROP: u32 = 5;
export const OP_NEXT: u32 = 6; // block: the program goes on there. Written by write-program.ts alone
export const OP_PUSH_MPLS: u32 = 7;
export const OP_POP_MPLS: u32 = 8;
export const OP_TRUNCATE: u32 = 9;
export const OP_METER: u32 = 10;
export const OP_CLONE: u32 = 11;
export const OP_SAMPLE: u32 = 12;
export const OP_SELECT: u32 = 13;
export const OP_TALLY: u32 = 14;
export const OP_CONTROLLER: u32 = 15;
export const OP_RECIRCULATE: u32 = 16;
export const OP_CT: u32 = 17;
export const OP_CT_LABEL: u32 = 18;
export const OP_CT_NAT: u32 = 19;
export const OP_CT_CLEAR: u32 = 20;

/** Flags of OP_CT. */
export const CT_COMMIT: u32 = 1;
export const CT_FORCE: u32 = 2; // a reply begins a connection of its own, in place of the one that it answers
export const CT_NAT: u32 = 4; // the packet is translated as its connection says
// A connection that is made with it announces others, which are let in as related to it:
export const CT_FTP: u32 = 8;
export const CT_TFTP: u32 = 16;

// Flags of OP_CT_NAT. What is given another:
export const NAT_SOURCE: u32 = 1; // this or the next
export const NAT_DESTINATION: u32 = 2;
// How the address, and a port of the range, are picked:
export const NAT_PERSISTENT: u32 = 4; // by the client's address alone: for all it does, also after a restart
export const NAT_HASH: u32 = 8; // by a hash of the connection: so it is too without this and the next
export const NAT_RANDOM: u32 = 16; // at random
// What the operands give:
export const NAT_HAS_ADDRESS: u32 = 32; // else the packet's own
export const NAT_HAS_PORTS: u32 = 64;

/** Words that one program may have, all OP_ENDs included: an output to every port and some rewriting. */
export const PROGRAM_WORDS: u32 = 1024;

/** How many programs may stand around one. */
export const MAX_NESTING: u32 = 8;

/** Words of an operation itself: without the buckets of OP_SELECT, and without the programs inside. */
export function operationWords(operation: u32): u32 {
  switch (operation) {
    case OP_SET:
      return 4;
    case OP_PUSH_MPLS:
    case OP_SELECT:
      return 3;
    case OP_CT:
      return 5;
    case OP_CT_LABEL:
      return 9;
    case OP_CT_NAT:
      return 11;
    case OP_END:
    case OP_POP_VLAN:
    case OP_CLONE:
    case OP_CT_CLEAR:
      return 1;
    default:
      return 2;
  }
}
