/** A number of things in words: `1 limit`, `2 limits`. */
export const plural = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;
