/** Numbers as people read them: counts, rates, sizes and times, three digits where more would not help. */

const grouped = new Intl.NumberFormat('en-US');

/** `1,234,567` */
export function count(n: number): string {
  return grouped.format(n);
}

/** `12.3 kpps` */
export function packetRate(packetsPerSecond: number): string {
  return scaled(packetsPerSecond, 1000, ['pps', 'kpps', 'Mpps', 'Gpps']);
}

/** `1.2 Gbit/s`, from bytes. */
export function bitRate(bytesPerSecond: number): string {
  return scaled(bytesPerSecond * 8, 1000, ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s', 'Tbit/s']);
}

/** `1.5 MiB` */
export function size(bytes: number): string {
  return scaled(bytes, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB']);
}

/** `98.2 %`; of nothing: `-`. */
export function share(part: number, whole: number): string {
  return whole === 0 ? '-' : `${((100 * part) / whole).toFixed(1)} %`;
}

/** `850 ms`, `12.3 s`, `3 min 5 s`, `2 h 10 min` */
export function time(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes} min ${seconds % 60} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** The value in the largest unit of which there is at least one, as it will be printed. */
function scaled(value: number, step: number, units: readonly string[]): string {
  let unit = 0;
  while (unit < units.length - 1 && Number(digits(value)) >= step) {
    value /= step;
    unit++;
  }
  return `${digits(value)} ${units[unit]}`;
}

function digits(value: number): string {
  return value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(1);
}
