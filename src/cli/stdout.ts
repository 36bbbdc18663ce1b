/** Standard output that may be closed at any time, as by `| head`. */

/** Settles when nobody reads standard output any more. Without it, the process would end with a stack trace. */
export const stdoutClosed: Promise<void> = new Promise((resolve, reject) => {
  process.stdout.on('error', (error: NodeJS.ErrnoException) =>
    error.code === 'EPIPE' ? resolve() : reject(error),
  );
});

/** Prints lines, and waits until there is room for more. */
export async function print(...lines: readonly string[]): Promise<void> {
  if (lines.length === 0 || process.stdout.destroyed) return;
  const text = lines.map((line) => `${line}\n`).join('');
  if (process.stdout.write(text)) return;
  await Promise.race([new Promise((resolve) => process.stdout.once('drain', resolve)), stdoutClosed]);
}
