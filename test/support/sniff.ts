/** What comes in at a host, as tcpdump sees it: VLAN tags where they were on the wire. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { LabHost } from './lab.ts';

const FILE_HEADER = 24;
const RECORD_HEADER = 16;
const WAIT_MS = 5000;

export interface Sniffer {
  /** All frames so far. */
  readonly frames: readonly Buffer[];
  /** Resolves with the first frame that is as wanted, past or to come; rejects after 5 s. */
  find(wanted: (frame: Buffer) => boolean): Promise<Buffer>;
}

/** Sniffs what comes in at a host, until the test ends; `filter` as in pcap-filter(7). */
export async function sniff(host: LabHost, ...filter: string[]): Promise<Sniffer> {
  const options = ['-n', '-U', '-w', '-', '-i', 'eth0', '-Q', 'in', '--immediate-mode'];
  const child = host.spawn('tcpdump', [...options, ...filter], { stdio: 'pipe' });
  const sniffer = new Reader(child);
  await sniffer.listening();
  return sniffer;
}

class Reader implements Sniffer {
  readonly frames: Buffer[] = [];
  readonly #child: ChildProcess;
  #rest: Buffer = Buffer.alloc(0);
  #inFile = false;

  constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout!.on('data', (bytes: Buffer) => this.#take(bytes));
  }

  async listening(): Promise<void> {
    let said = '';
    for (const signal = AbortSignal.timeout(WAIT_MS); !said.includes('listening on'); ) {
      said += (await once(this.#child.stderr!, 'data', { signal }))[0];
    }
    this.#child.stderr!.resume();
  }

  async find(wanted: (frame: Buffer) => boolean): Promise<Buffer> {
    const signal = AbortSignal.timeout(WAIT_MS);
    for (;;) {
      const found = this.frames.find(wanted);
      if (found) return found;
      await once(this.#child.stdout!, 'data', { signal });
    }
  }

  #take(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    if (!this.#inFile && this.#rest.length >= FILE_HEADER) {
      this.#inFile = true;
      this.#rest = this.#rest.subarray(FILE_HEADER);
    }
    while (this.#inFile && this.#rest.length >= RECORD_HEADER) {
      const end = RECORD_HEADER + this.#rest.readUInt32LE(8);
      if (this.#rest.length < end) return;
      this.frames.push(this.#rest.subarray(RECORD_HEADER, end));
      this.#rest = this.#rest.subarray(end);
    }
  }
}
