/**
 * What a scenario of the schedule explorer says to it. A scenario is a file of `datapath/explore/`, named
 * after the structure it tries, that exports
 *
 *     setUp()                        runs once, alone: makes the structure, and declares memory (below)
 *     thread0(), thread1() … 3       what each thread does, a few operations each
 *     check()                        runs alone when all threads have ended; may be absent
 *
 * and asserts, anywhere, what must hold. That is all: the explorer finds the file by itself. It runs the
 * threads in all orders it has time for; before each run it puts the declared memory back to what it was
 * after `setUp`. A scenario keeps nothing in globals of its own.
 *
 * Each atomic operation, `memory.copy` and `memory.fill` is a step, at which another thread may go on; so
 * is each plain access to memory that a scenario `shares`. Between two steps a thread is not disturbed.
 * Steps happen one after the other, for everyone in the same order: what a processor may do beyond that to
 * plain accesses is not tried.
 *
 * A thread that reads a word over and over waits for somebody to write; when everybody waits, the run fails.
 */
import { map } from './memory/arena';

/** Threads change these bytes, and each access to them is a step. In `setUp` only. */
export declare function shares(at: usize, bytes: usize): void;

/** Threads change these bytes, of which each is one thread's own, or guarded by what is tried elsewhere. */
export declare function changes(at: usize, bytes: usize): void;

/** Memory for a scenario to use as it likes: all zero, 16 KiB. */
export function scratch(): usize {
  return map.queues;
}
