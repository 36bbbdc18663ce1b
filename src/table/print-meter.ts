/** Meters as `ovs-ofctl dump-meters` prints them: each band on a line of its own. */
import type { Band, Meter } from './meter.ts';

function printBand({ type, rate, burst, precLevel }: Band): string {
  const size = burst === 0 ? '' : ` burst_size=${burst}`;
  const level = precLevel === undefined ? '' : ` prec_level=${precLevel}`;
  return `type=${type} rate=${rate}${size}${level}`;
}

export function printMeter({ id, unit, burst, stats, bands }: Meter): string {
  const words = [`meter=${id}`, unit, ...(burst ? ['burst'] : []), ...(stats ? ['stats'] : []), 'bands='];
  return [words.join(' '), ...bands.map(printBand)].join('\n');
}
