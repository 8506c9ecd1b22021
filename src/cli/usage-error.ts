/** Something the user can put right: its message says what to do. Ends with exit code 3. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
