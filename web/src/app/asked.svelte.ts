// What a page asked the vault for, or why it did not come.

export class Asked<T> {
  value = $state.raw<T | null>(null);
  failure = $state.raw<unknown>(null);
  readonly #ask: () => Promise<T>;

  constructor(ask: () => Promise<T>) {
    this.#ask = ask;
  }

  /** Asks again, too. What is there stays until the answer, and if there is none. */
  look = async (): Promise<void> => {
    this.failure = null;
    try {
      this.value = await this.#ask();
    } catch (error) {
      this.failure = error;
    }
  };
}
