/**
 * Lines of FTP that announce a data connection, as they are read and as they are written anew.
 *
 *     PORT 10,0,0,2,8,1                                     the client listens; RFC 959 §5.3.2
 *     227 Entering Passive Mode (10,0,0,2,8,1)              the server does; §4.2
 *     EPRT |1|10.0.0.2|2049|   EPRT |2|fd00::2|2049|        the client; RFC 2428 §2
 *     229 Entering Extended Passive Mode (|||2049|)         the server; §3
 *          from └        └ to
 *
 * A line is looked for where a segment's data begins, and has to go on behind its last number there: what is said in
 * two segments may say anything. What may be replaced is the address and the port, or where no address is said the port.
 */
import { BATCH_ANNOUNCEMENT, batch } from '../batch';
import { NETWORK_IPV4 } from '../packet/frame';
import { ORIGINAL } from './connection';
import {
  BAD,
  BLANK,
  beginText,
  COMMA,
  DOT,
  putIpv4,
  putIpv6,
  putNumber,
  readIpv4,
  readIpv6,
  readMark,
  readNumber,
  skip,
  skipBehind,
  skipToDigit,
  textAt,
} from './text';

/** What a line announces: the thread's own. */
@unmanaged
export class Announcement {
  addressLow: u64; // as in a tuple
  addressHigh: u64;
  from: u32; // what may be replaced, from where the line begins
  to: u32;
  port: u16; // host order
  form: u8; // FORM_…
  mark: u8; // between the parts of an extended line
}

export const LINE_NONE: u32 = 0; // it announces nothing
export const LINE_BROKEN: u32 = 1; // it is one of these, and does not say what it should
export const LINE_READ: u32 = 2;

const FORM_NUMBERS: u8 = 0; // 10,0,0,2,8,1
export const FORM_PORT: u8 = 1; // 2049
const FORM_ADDRESS: u8 = 2; // fd00::2|2049

const ANNOUNCEMENT_SIZE: u32 = 32;
/** Of a segment so much is read, as in Open vSwitch. */
const MOST_READ: u32 = 128;

// How lines begin, as a load of four bytes sees it; commands in lower case.
const PORT: u32 = 0x74726f70;
const EPRT: u32 = 0x74727065;
const CODE_227: u32 = 0x20373232;
const CODE_229: u32 = 0x20393232;
const LOWER: u32 = 0x20202020;

const PARENTHESIS: u8 = 0x28;

export function announcement(): Announcement {
  return changetype<Announcement>(batch() + BATCH_ANNOUNCEMENT);
}

/** Where a line's new text is written, 46 bytes at most. */
export function newText(): usize {
  return batch() + BATCH_ANNOUNCEMENT + ANNOUNCEMENT_SIZE;
}

/** Reads what `length` bytes at `data` announce, sent in `direction` over `network`. LINE_… */
export function readLine(data: usize, length: u32, direction: u32, network: u8): u32 {
  if (length < 4) return LINE_NONE;
  memory.fill(changetype<usize>(announcement()), 0, ANNOUNCEMENT_SIZE);
  beginText(data + 4, data + min(length, MOST_READ));
  const word = load<u32>(data);
  const isIpv4 = network == NETWORK_IPV4;
  let isRead = false;
  if (direction == ORIGINAL) {
    const isPort = (word | LOWER) == PORT && isIpv4;
    if ((!isPort && (word | LOWER) != EPRT) || !skip(BLANK)) return LINE_NONE;
    isRead = isPort ? readNumbers(data) : readExtended(data, isIpv4);
  } else if (word == CODE_227 && isIpv4) {
    isRead = readNumbers(data);
  } else if (word == CODE_229) {
    isRead = readExtendedPort(data);
  } else {
    return LINE_NONE;
  }
  return isRead && announcement().port != 0 ? LINE_READ : LINE_BROKEN;
}

/** `10,0,0,2,8,1`, behind whatever is no digit. */
function readNumbers(data: usize): bool {
  skipToDigit();
  const said = begin(data, FORM_NUMBERS);
  if (!readIpv4(changetype<usize>(said), COMMA) || !skip(COMMA)) return false;
  const high = readNumber(255);
  if (high == BAD || !skip(COMMA)) return false;
  const low = readNumber(255);
  return low != BAD && end(data, (high << 8) | low);
}

/** `|2|fd00::2|2049|` */
function readExtended(data: usize, isIpv4: bool): bool {
  const mark = readMark();
  if (mark == BAD || readNumber(2) != (isIpv4 ? 1 : 2) || !skip(<u8>mark)) return false;
  const said = begin(data, FORM_ADDRESS);
  said.mark = <u8>mark;
  const address = changetype<usize>(said);
  if (!(isIpv4 ? readIpv4(address, DOT) : readIpv6(address)) || !skip(<u8>mark)) return false;
  return end(data, readNumber(65535)) && skip(<u8>mark);
}

/** `(|||2049|)` */
function readExtendedPort(data: usize): bool {
  skipBehind(PARENTHESIS);
  const mark = readMark();
  if (mark == BAD || !skip(<u8>mark) || !skip(<u8>mark)) return false;
  begin(data, FORM_PORT);
  return end(data, readNumber(65535)) && skip(<u8>mark);
}

function begin(data: usize, form: u8): Announcement {
  const said = announcement();
  said.from = <u32>(textAt() - data);
  said.form = form;
  return said;
}

function end(data: usize, port: u32): bool {
  announcement().to = <u32>(textAt() - data);
  announcement().port = <u16>port;
  return port != BAD;
}

/** Writes what the line at hand would say of this address and port. Returns the length. */
export function writeLine(address: usize, port: u32, network: u8): u32 {
  const said = announcement();
  let to = newText();
  if (said.form == FORM_NUMBERS) {
    to = putIpv4(to, address, COMMA);
    store<u8>(to, COMMA);
    to = putNumber(to + 1, port >>> 8);
    store<u8>(to, COMMA);
    to = putNumber(to + 1, port & 255);
  } else {
    if (said.form == FORM_ADDRESS) {
      to = network == NETWORK_IPV4 ? putIpv4(to, address, DOT) : putIpv6(to, address);
      store<u8>(to++, said.mark);
    }
    to = putNumber(to, port);
  }
  return <u32>(to - newText());
}
