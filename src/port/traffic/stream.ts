/** What one side of a TCP connection says: a few bytes of text, then the same letter up to the end. */
const FILLER = 'h'.charCodeAt(0);

export class ByteStream {
  /** Bytes altogether. */
  readonly length: number;
  private readonly head: Uint8Array;

  constructor(head: string, fillerBytes: number) {
    this.head = new TextEncoder().encode(head);
    this.length = this.head.length + fillerBytes;
  }

  /** Writes bytes `from` up to `from + length` of the stream to `bytes[at]` and on. */
  write(bytes: Uint8Array, at: number, from: number, length: number): void {
    const { head } = this;
    const headEnd = Math.min(head.length, from + length);
    for (let index = from; index < headEnd; index++) bytes[at + index - from] = head[index];
    const fillFrom = Math.max(0, headEnd - from);
    bytes.fill(FILLER, at + fillFrom, at + length);
  }
}

export const NOTHING = new ByteStream('', 0);
export const REQUEST = new ByteStream('GET / HTTP/1.1\r\nHost: heddle\r\nConnection: close\r\n\r\n', 0);

/** An answer that curl takes, with a body of `bodyBytes`. */
export const responseOf = (bodyBytes: number): ByteStream =>
  new ByteStream(
    `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${bodyBytes}\r\nConnection: close\r\n\r\n`,
    bodyBytes,
  );
