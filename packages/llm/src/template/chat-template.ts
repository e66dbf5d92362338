/** A chat template, compiled once a model. */
export interface ChatTemplate {
  /** True when the template walks the parts of a message's content itself; else parts of text are joined with a newline first. */
  readonly takesContentParts: boolean;
  /**
   * Renders with Jinja2's semantics as HF transformers sets them (spec llm 4).
   *
   * @throws DynamoError `invalid_argument` when the template raises.
   */
  render(variables: Readonly<Record<string, unknown>>): string;
}
