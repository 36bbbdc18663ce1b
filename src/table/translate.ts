/**
 * Translation: from one packet's key to a megaflow, the mask of what decided its fate and the program
 * that carries it out.
 *
 * The megaflow must be right for every packet that its mask lets in. So whatever the walk through the
 * tables looks at goes into the mask (`classifier.ts` says what a look-up looks at), and what actions wrote
 * is known and costs nothing (`packet.ts`).
 */

import { Emitter } from './emit.ts';
import type { Tracer } from './tracer.ts';
import type { Translation, TranslationContext } from './translation.ts';
import { Walk } from './walk.ts';

/**
 * Walks the tables for one packet.
 * @param key KEY_SIZE bytes as in `key.ts`
 * @param tracer is told of the walk
 */
export function translate(key: Uint8Array, context: TranslationContext, tracer?: Tracer): Translation {
  const walk = new Walk(key, context, tracer);
  walk.run();
  const { packet, emitter, rules, missed, senders, learned, isDenied } = walk;
  const { reason } = walk.fate;
  const program = walk.hasFailed ? Emitter.drop(reason) : emitter.finish(reason, isDenied);
  return { mask: packet.mask, program, rules, missed, senders, learned };
}
