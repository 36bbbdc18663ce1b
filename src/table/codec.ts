/**
 * Plain data as bytes, for what the tables' threads have to tell one another: equal things have equal bytes, and what
 * is read back is deeply equal to what was written. That is all that actions consist of: nothing, booleans, whole
 * numbers, bigints, strings, bytes, lists, records, and fields, which are the very same objects again.
 *
 *     value    │ tag │ …                  number: LEB128, seven bits a byte, the lowest first
 *     bytes    │ tag │ length │ … │       bigint: how many words of 32 bits, the lowest first
 *     list     │ tag │ length │ value … │
 *     record   │ tag │ length │ word, value … │      by name, whatever order the properties came in
 *     word     │ its place in WORDS │ or │ SPELLED │ length │ codes … │
 *
 * A property that is undefined is there; one that is not there is not.
 */
import { FIELDS, type Field, TP_DST, TP_SRC } from './fields.ts';

const UNDEFINED = 0;
const FALSE = 1;
const TRUE = 2;
const NUMBER = 3;
const BIGINT = 4;
const STRING = 5;
const BYTES = 6;
const LIST = 7;
const RECORD = 8;
const FIELD = 9;

/** Properties and strings that are usual; any other is spelled. */
const WORDS: readonly string[] = `
  kind table cookie actions next depth visits pipeline inPort stack actionSet isWhole reason maxLength
  controller userdata continuation sample packetIn no_match action invalid_ttl action_set group packet_out
  id pause meter probability collectorSet domain point samplingPort direction ingress egress output port
  outputField source local flood all normal set value mask spelling field set_field load to first bits
  move from push pop what pushVlan tpid popVlan pushMpls popMpls ethType decTtl controllers decMplsTtl
  resubmit asFirst goto writeMetadata writeActions clone clearActions learn priority idleTimeoutS
  hardTimeoutS finIdleTimeoutS finHardTimeoutS limit sendFlowRemoved deleteLearned result specs match ct
  commit force zone nat helper exec end src dst addresses last ports persistent choice hash random ftp
  tftp ctClear conjunction clause of note bytes finTimeout exit
`
  .trim()
  .split(/\s+/);
const SPELLED = 255;
const placeOf = new Map(WORDS.map((word, place) => [word, place]));

const fields: readonly Field[] = [...FIELDS, TP_SRC, TP_DST];
const fieldPlace = new Map<object, number>(fields.map((field, place) => [field, place]));

/** Bytes of a number but the last have this bit. */
const MORE = 0x80;
const WORD_BITS = 32n;

class Writer {
  #bytes = new Uint8Array(1024);
  #length = 0;

  /** The bytes of a value, good until the next call. */
  encode(value: unknown): Uint8Array {
    this.#length = 0;
    this.#value(value);
    return this.#bytes.subarray(0, this.#length);
  }

  #value(value: unknown): void {
    if (value === undefined) return this.#byte(UNDEFINED);
    if (typeof value === 'boolean') return this.#byte(value ? TRUE : FALSE);
    if (typeof value === 'number') return this.#tagged(NUMBER, value);
    if (typeof value === 'bigint') return this.#bigint(value);
    if (typeof value === 'string') {
      this.#byte(STRING);
      return this.#word(value);
    }
    if (value instanceof Uint8Array) {
      this.#tagged(BYTES, value.length);
      return this.#copy(value);
    }
    if (Array.isArray(value)) {
      this.#tagged(LIST, value.length);
      for (const item of value) this.#value(item);
      return;
    }
    if (typeof value === 'object' && value !== null) return this.#object(value);
    throw new TypeError(`no bytes for ${value}`);
  }

  #object(value: object): void {
    const field = fieldPlace.get(value);
    if (field !== undefined) return this.#tagged(FIELD, field);
    if (Object.getPrototypeOf(value) !== Object.prototype) throw new TypeError(`no bytes for ${value}`);
    const names = Object.keys(value).sort();
    this.#tagged(RECORD, names.length);
    for (const name of names) {
      this.#word(name);
      this.#value((value as Record<string, unknown>)[name]);
    }
  }

  #word(word: string): void {
    const place = placeOf.get(word);
    if (place !== undefined) return this.#byte(place);
    this.#tagged(SPELLED, word.length);
    for (let i = 0; i < word.length; i++) this.#number(word.charCodeAt(i));
  }

  #bigint(value: bigint): void {
    if (value < 0n) throw new RangeError(`no bytes for ${value}`);
    const words: number[] = [];
    for (let left = value; left > 0n; left >>= WORD_BITS) words.push(Number(BigInt.asUintN(32, left)));
    this.#tagged(BIGINT, words.length);
    for (const word of words) this.#number(word);
  }

  #tagged(tag: number, number: number): void {
    this.#byte(tag);
    this.#number(number);
  }

  #number(number: number): void {
    if (!Number.isSafeInteger(number) || number < 0) throw new RangeError(`no bytes for ${number}`);
    let left = number;
    for (; left >= MORE; left = Math.floor(left / MORE)) this.#byte(MORE | (left % MORE));
    this.#byte(left);
  }

  #byte(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = byte;
  }

  #copy(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const before = this.#bytes;
    this.#bytes = new Uint8Array(2 * (this.#length + more));
    this.#bytes.set(before);
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  value(): unknown {
    const tag = this.#byte();
    switch (tag) {
      case UNDEFINED:
        return undefined;
      case FALSE:
      case TRUE:
        return tag === TRUE;
      case NUMBER:
        return this.#number();
      case BIGINT:
        return this.#bigint();
      case STRING:
        return this.#word();
      case BYTES:
        return this.#copy(this.#number());
      case LIST:
        return Array.from({ length: this.#number() }, () => this.value());
      case RECORD:
        return this.#record();
      case FIELD:
        return fields[this.#number()];
      default:
        throw new RangeError(`${tag} is no tag`);
    }
  }

  #record(): object {
    const record: Record<string, unknown> = {};
    for (let left = this.#number(); left > 0; left--) {
      const name = this.#word();
      record[name] = this.value();
    }
    return record;
  }

  #word(): string {
    const place = this.#byte();
    if (place !== SPELLED) return WORDS[place]!;
    return String.fromCharCode(...Array.from({ length: this.#number() }, () => this.#number()));
  }

  #bigint(): bigint {
    const words = Array.from({ length: this.#number() }, () => BigInt(this.#number()));
    return words.reduceRight((sum, word) => (sum << WORD_BITS) | word, 0n);
  }

  #number(): number {
    let number = 0;
    for (let unit = 1; ; unit *= MORE) {
      const byte = this.#byte();
      number += (byte % MORE) * unit;
      if (byte < MORE) return number;
    }
  }

  #byte(): number {
    return this.#bytes[this.#at++]!;
  }

  /** A copy of its own. */
  #copy(length: number): Uint8Array {
    this.#at += length;
    return this.#bytes.slice(this.#at - length, this.#at);
  }
}

const writer = new Writer();

/**
 * The bytes of a value, good until the next call.
 * @throws TypeError or RangeError when it is none of the above.
 */
export const encode = (value: unknown): Uint8Array => writer.encode(value);

/** The value that bytes were made of. */
export const decode = (bytes: Uint8Array): unknown => new Reader(bytes).value();
