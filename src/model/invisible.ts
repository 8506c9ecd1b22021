/**
 * Characters that a terminal obeys, hides or shows as something else: control and format characters
 * (bidi overrides, zero width), lone surrogates, private use and unassigned code points, separators
 * other than the plain space, and letters that by Unicode's own word show nothing.
 */
export const invisible = /(?! )[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}]/gu;
