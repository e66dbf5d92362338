/** The text of a recital: no two places of it, and no two texts, look alike. */
export const recital = (name: string): string => Array.from({ length: 60 }, (_, verse) => `${name}:${verse} é `).join('');
