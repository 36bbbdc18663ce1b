/**
 * How fast the processor is: measured, since not every kernel tells, with a chain of multiplications of which each
 * waits for the one before. One takes three cycles on the processors of the last fifteen years, x86 and ARM.
 */
const CYCLES = 3;
const LENGTH = 100_000;
/** The first rounds warm up the compiler; a round that is interrupted is not the fastest. */
const ROUNDS = 20;

let measured: number | undefined;

/** Cycles in a nanosecond, measured once, in some milliseconds. */
export function cyclesPerNs(): number {
  measured ??= CYCLES / Math.min(...Array.from({ length: ROUNDS }, nsPerMultiplication));
  return measured;
}

function nsPerMultiplication(): number {
  const beganMs = performance.now();
  let product = beganMs | 1;
  for (let i = 0; i < LENGTH; i++) product = Math.imul(product, 0x9e3779b1);
  const ns = ((performance.now() - beganMs) * 1e6) / LENGTH;
  // What is not used is not computed.
  return product === 0 ? 0 : ns;
}
