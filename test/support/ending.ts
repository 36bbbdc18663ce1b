/** Something that ends, whatever becomes of it: a test, or a run of a tool that uses what tests use. */
export interface Ending {
  /** Has `work` done at the end. */
  after(work: () => unknown): void;
}

/** Does `work`, and in any case what it asked for afterwards, the last first. Throws the last error of them all. */
export async function toItsEnd<T>(work: (ending: Ending) => Promise<T>): Promise<T> {
  const afterwards: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    const last = afterwards.pop();
    if (!last) return;
    try {
      await last();
    } finally {
      await close();
    }
  };
  try {
    return await work({ after: (last) => void afterwards.push(last) });
  } finally {
    await close();
  }
}
