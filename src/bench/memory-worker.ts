/** A thread of bench `memory`: runs the loops it is told to, and says how many nanoseconds each took. */
import { serve } from './crew.ts';
import { instantiate, type MeasureRequest, type WorkerData } from './memory.ts';

serve(({ arena, thread }: WorkerData) => {
  const exports = instantiate(arena);
  exports.attach(thread);

  return ({ loop, threads, times }: MeasureRequest): number => {
    const startMs = performance.now();
    exports[loop]!(times, threads);
    return (performance.now() - startMs) * 1e6;
  };
});
