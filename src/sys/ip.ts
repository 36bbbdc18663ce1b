/** The `ip` command (iproute2), for what would take a netlink library. */
import { execFileSync } from 'node:child_process';

/**
 * Runs `ip` with these arguments.
 * @throws Error with what it said
 */
export function ip(...words: string[]): string {
  try {
    return execFileSync('ip', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: string };
    if (code === 'ENOENT') throw new Error('needs the ip command, which is not installed here (iproute2)');
    throw new Error(`ip ${words.join(' ')}: ${stderr?.trim() || (error as Error).message}`);
  }
}

/** In a named network namespace, or in this one. */
export function ipIn(namespace: string | undefined, ...words: string[]): string {
  return namespace === undefined ? ip(...words) : ip('-netns', namespace, ...words);
}
