/** Hears that some network interface has come, gone or changed, so that ports need not wait to be looked at. */
import { closeSync } from 'node:fs';
import { hasLibc } from '../sys/libc.ts';
import { openLinkNews, takeLinkNews } from '../sys/netlink.ts';

export class LinkNews {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Undefined where there is no system library, and so no port with an interface. */
  static open(): LinkNews | undefined {
    return hasLibc() ? new LinkNews(openLinkNews()) : undefined;
  }

  /** Whether there has been any since this was last asked. */
  arrived(): boolean {
    return takeLinkNews(this.#fd);
  }

  close(): void {
    closeSync(this.#fd);
  }
}
