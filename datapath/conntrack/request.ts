/** What ct() asks for. With NatRequest (nat.ts) and a label, which stand before it in a program. */

/** What an action asks for, as it stands in a program behind OP_CT. */
@unmanaged
export class CtRequest {
  flags: u32; // CT_…
  zone: u32;
  mark: u32;
  markMask: u32;
}
