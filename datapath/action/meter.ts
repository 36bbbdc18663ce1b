/**
 * Meters: limits on the rate of packets or bits that threads share (OpenFlow 1.3 §5.7).
 *
 *     meter    line 0         how many bands count, the unit, what came in
 *              line 1 …       up to MAX_BANDS bands: limit, state, what they took
 *
 * A band is a bucket of tokens, and all that changes of it is one word: the instant at which the bucket was or
 * will be empty. Tokens since then have come in at the band's rate, up to as many as the bucket holds; to take
 * some moves the instant on by the time in which they come in.
 *
 *     ──────┬──────────────────────────┬──────────▶ time
 *        emptyMs ········ tokens ·····▶ now          to take = emptyMs + tokens / rate, no later than now
 *
 * So threads share a band without a lock, by compare-and-exchange of that instant, and one whose clock is a
 * little behind does no harm. When several bands have no tokens the one with the highest rate acts: it drops
 * the packet, or raises the drop precedence of its DSCP.
 *
 * The control side writes a meter with `bands` at 0, when packets pass it, and stores `bands` last, atomically.
 * A packet that is at the meter meanwhile may be judged by a band of before or of after. Every thread counts
 * with atomic adds and moves `emptyMs`; readers may see a batch half counted.
 */
import { map } from '../memory/arena';
import { self } from '../memory/thread';
import { Frame } from '../packet/frame';
import { raiseDropPrecedence } from './precedence';

@unmanaged
export class Meter {
  bands: u32; // 0: no meter, every packet passes
  countsPackets: u32; // a packet takes 1000 tokens; else as many as it has bits
  packets: u64; // that came in
  bytes: u64;
}

@unmanaged
export class MeterBand {
  rate: f64; // tokens that come in each millisecond: kbit/s, or packets a second
  depthMs: f64; // in so long the empty bucket fills
  emptyMs: u64; // an f64, as `bitsOf` writes it
  packets: u64; // that the band took
  bytes: u64;
  remark: u32; // by how much the drop precedence goes up; 0: the band drops
}

export const METERS: u32 = 1024;
export const MAX_BANDS: u32 = 8;
export const METER_BANDS: usize = 64;
export const METER_BAND_STRIDE: u32 = 64;
export const METER_STRIDE: u32 = 576; // METER_BANDS and MAX_BANDS bands

/** What one packet takes of a meter that counts packets. */
export const TOKENS_OF_PACKET: u32 = 1000;

/** Puts the frame through meter `number`, which is under METERS. False: it is to be dropped. */
export function passesMeter(number: u32, frame: Frame): bool {
  const at = map.meters + <usize>(number * METER_STRIDE);
  const bands = atomic.load<u32>(at);
  if (bands == 0) return true;
  count(at + offsetof<Meter>('packets'), frame);
  const tokens = changetype<Meter>(at).countsPackets ? TOKENS_OF_PACKET : frame.length << 3;
  let exceeded = changetype<MeterBand>(0);
  for (let i: u32 = 0; i < bands; i++) {
    const band = changetype<MeterBand>(at + METER_BANDS + <usize>(i * METER_BAND_STRIDE));
    if (takesTokens(band, <f64>tokens)) continue;
    if (changetype<usize>(exceeded) == 0 || band.rate > exceeded.rate) exceeded = band;
  }
  if (changetype<usize>(exceeded) == 0) return true;
  count(changetype<usize>(exceeded) + offsetof<MeterBand>('packets'), frame);
  if (exceeded.remark == 0) return false;
  raiseDropPrecedence(frame, exceeded.remark);
  return true;
}

/**
 * An instant in the word that threads share: the complement of its bits. Not the bits themselves, because the
 * optimizer (Binaryen's avoid-reinterprets) makes a word that is loaded atomically and used both as bits and as a
 * number into two loads, between which another thread may store: what is then compared is not what was reckoned with.
 */
export function bitsOf(instantMs: f64): u64 {
  return ~reinterpret<u64>(instantMs);
}

/** Takes tokens out of the band's bucket if so many are there. */
export function takesTokens(band: MeterBand, tokens: f64): bool {
  const place = changetype<usize>(band) + offsetof<MeterBand>('emptyMs');
  while (true) {
    const before = atomic.load<u64>(place);
    const emptyMs = max<f64>(reinterpret<f64>(~before), self.nowMs - band.depthMs);
    const after = emptyMs + tokens / band.rate;
    if (!(after <= self.nowMs)) return false;
    if (atomic.cmpxchg<u64>(place, before, bitsOf(after)) == before) return true;
  }
}

/** Counts the frame in two words: packets, bytes. */
function count(at: usize, frame: Frame): void {
  atomic.add<u64>(at, 1);
  atomic.add<u64>(at + 8, <u64>frame.length);
}
