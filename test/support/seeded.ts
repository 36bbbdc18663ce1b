/** Random tests that can be repeated: a failure says the seed, and `SEED=… npm test` runs it again. */
import { randomInt } from 'node:crypto';
import { Random } from '../../src/port/traffic/random.ts';

export { Random };

/** A test's body that draws from `random`. */
export function seeded(body: (random: Random) => void | Promise<void>): () => Promise<void> {
  return async () => {
    const seed = Number(process.env.SEED ?? randomInt(2 ** 32));
    try {
      await body(new Random(seed));
    } catch (error) {
      const how = `(repeat with SEED=${seed})`;
      if (error instanceof Error)
        Object.assign(error, { message: `${error.message}\n${how}`, stack: `${error.stack}\n${how}` });
      throw error;
    }
  };
}

export const chance = (random: Random, probability: number): boolean => random.fraction() < probability;

export const pick = <T>(random: Random, choices: readonly T[]): T => choices[random.below(choices.length)]!;

export const word = (random: Random): number => random.word() >>> 0;

export function randomBytes(random: Random, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = random.word();
  return bytes;
}
