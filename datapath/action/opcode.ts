/**
 * The action program of a datapath flow: 32-bit words, each operation followed by its operands.
 * The slow path writes programs, `execute.ts` runs them. A program ends with OP_END.
 *
 *     OP_END
 *     OP_OUTPUT     port
 *     OP_SET        offset, value, mask      key bytes offset..offset+3 (a multiple of 4), as in memory
 *     OP_PUSH_VLAN  tpid << 16 | tci         host order
 *     OP_POP_VLAN
 *     OP_DROP       reason                   a fate for packets that no OP_OUTPUT takes
 *
 * OP_SET names the place by the flow key: the packet's header behind those key bytes gets
 * `old & ~mask | value`, and every checksum over it is kept right. The key itself does not change.
 */
export const OP_END: u32 = 0;
export const OP_OUTPUT: u32 = 1;
export const OP_SET: u32 = 2;
export const OP_PUSH_VLAN: u32 = 3;
export const OP_POP_VLAN: u32 = 4;
export const OP_DROP: u32 = 5;
export const OP_NEXT: u32 = 6; // block: the program goes on there. Written by install.ts alone

/** Words that one program may have, OP_END included: an output to every port and some rewriting. */
export const PROGRAM_WORDS: u32 = 1024;
