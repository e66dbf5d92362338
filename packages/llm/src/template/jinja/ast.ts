/** An expression of a template. */
export type Expression =
  | { readonly type: 'constant'; readonly value: unknown }
  | { readonly type: 'name'; readonly name: string }
  | { readonly type: 'list' | 'tuple' | 'concat'; readonly items: readonly Expression[] }
  | { readonly type: 'dict'; readonly entries: readonly (readonly [Expression, Expression])[] }
  | { readonly type: 'condition'; readonly test: Expression; readonly value: Expression; readonly otherwise: Expression | undefined }
  | { readonly type: 'and' | 'or'; readonly left: Expression; readonly right: Expression }
  | { readonly type: 'not' | 'negative' | 'positive'; readonly operand: Expression }
  | { readonly type: 'arithmetic'; readonly operator: Operator; readonly left: Expression; readonly right: Expression }
  | { readonly type: 'compare'; readonly first: Expression; readonly rest: readonly Comparison[] }
  | { readonly type: 'filter'; readonly target: Expression; readonly call: NamedCall }
  | { readonly type: 'test'; readonly target: Expression; readonly call: NamedCall; readonly negated: boolean }
  | { readonly type: 'attribute'; readonly target: Expression; readonly name: string; readonly line: number }
  | { readonly type: 'item'; readonly target: Expression; readonly key: Expression; readonly line: number }
  | { readonly type: 'slice'; readonly target: Expression; readonly bounds: readonly (Expression | undefined)[]; readonly line: number }
  | { readonly type: 'call'; readonly target: Expression; readonly args: Arguments; readonly line: number };

/** An operator on two values, beside the comparisons and the logic. */
export type Operator = '+' | '-' | '*' | '/' | '//' | '%' | '**';

/** How two values can be compared. */
export type Relation = '==' | '!=' | '<' | '<=' | '>' | '>=' | 'in' | 'not in';

/** One link of a chain such as `a < b <= c`. */
export interface Comparison {
  readonly relation: Relation;
  readonly right: Expression;
}

/** What stands between the parentheses of a call. */
export interface Arguments {
  readonly positional: readonly Expression[];
  readonly keyword: readonly (readonly [string, Expression])[];
  readonly spread: Expression | undefined;
  readonly keywordSpread: Expression | undefined;
}

/** A filter or test with its arguments. */
export interface NamedCall {
  readonly name: string;
  readonly args: Arguments;
  readonly line: number;
}

/** What `set`, `for` and `with` assign to. */
export type Target =
  | { readonly type: 'name'; readonly name: string }
  | { readonly type: 'member'; readonly name: string; readonly attribute: string; readonly line: number }
  | { readonly type: 'tuple'; readonly items: readonly Target[]; readonly line: number };

/** A parameter of a macro or of a call block. */
export interface Parameter {
  readonly name: string;
  readonly fallback: Expression | undefined;
}

/** A statement of a template. */
export type Statement =
  | { readonly type: 'text'; readonly value: string }
  | { readonly type: 'print'; readonly value: Expression }
  | { readonly type: 'if'; readonly branches: readonly Branch[]; readonly otherwise: readonly Statement[] }
  | ForStatement
  | { readonly type: 'set'; readonly target: Target; readonly value: Expression }
  | { readonly type: 'capture'; readonly target: Target; readonly filters: readonly NamedCall[]; readonly body: readonly Statement[] }
  | { readonly type: 'macro'; readonly name: string; readonly parameters: readonly Parameter[]; readonly body: readonly Statement[] }
  | { readonly type: 'call'; readonly call: Expression; readonly parameters: readonly Parameter[]; readonly body: readonly Statement[] }
  | { readonly type: 'filtered'; readonly filters: readonly NamedCall[]; readonly body: readonly Statement[] }
  | { readonly type: 'with'; readonly bindings: readonly (readonly [Target, Expression])[]; readonly body: readonly Statement[] }
  | { readonly type: 'break' | 'continue' };

/** One `if` or `elif` with what it guards. */
export interface Branch {
  readonly test: Expression;
  readonly body: readonly Statement[];
}

/** A loop. */
export interface ForStatement {
  readonly type: 'for';
  readonly target: Target;
  readonly iterable: Expression;
  readonly condition: Expression | undefined;
  readonly recursive: boolean;
  readonly body: readonly Statement[];
  readonly otherwise: readonly Statement[];
}
