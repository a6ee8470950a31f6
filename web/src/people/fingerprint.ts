/** A fingerprint in groups of four, for people who compare. */
export const grouped = (fingerprint: string): string => fingerprint.replace(/(.{4})(?=.)/g, "$1 ");
