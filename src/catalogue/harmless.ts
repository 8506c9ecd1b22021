/** Whether a drop of this kind may be no loss, and when. */
export type Harmless =
  | { readonly harmless: 'never' }
  | {
      readonly harmless: 'often' | 'always';
      /** Goes on after "when" (often) or as a reason (always): `the port is closed on purpose`. */
      readonly when: string;
    };
