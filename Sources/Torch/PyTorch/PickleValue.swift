/// A Python value as plain data. Nothing of it is ever executed.
///
/// Values name the values they hold by their place in a ``PickleGraph``. So a value that is shared a thousand times is
/// stored once, a cycle is nothing special, and no depth of nesting needs a stack, not even to be freed.
enum PickleValue: Sendable {
  /// A place in a graph.
  typealias Reference = Int32

  case none
  case bool(Bool)
  case integer(Int)
  /// An integer beyond 64 bits, in decimal digits or as `0x` and the bytes in two's complement.
  case largeInteger(String)
  case float(Double)
  case text(String)
  case bytes([UInt8])
  case list([Reference])
  case tuple([Reference])
  case set([Reference])
  /// Pairs in the order in which they were put in; of pairs with equal keys the last counts.
  case dictionary([Pair])
  case storage(StoredElements)
  indirect case tensor(StoredTensor)
  /// A class or function by its full name.
  case global(String)
  indirect case record(PickleRecord)

  /// A key and its value.
  struct Pair: Sendable {
    let key: Reference
    let value: Reference
  }
}

/// An object of a class that means nothing here.
struct PickleRecord: Sendable {
  /// The full name of the class, or of the function that would make the object.
  let name: String
  /// What the class or function would be called with.
  let arguments: PickleValue.Reference
  /// What the object would be given after it is made.
  var state: PickleValue.Reference?
  /// The dictionary of what would be put into it by key.
  var contents: PickleValue.Reference?
}

/// All values of a pickle.
struct PickleGraph: Sendable {
  fileprivate(set) var values: [PickleValue] = []
  /// The value that the pickle stands for.
  var root: PickleValue.Reference = 0

  subscript(_ reference: PickleValue.Reference) -> PickleValue {
    get { values[Int(reference)] }
    set { values[Int(reference)] = newValue }
  }

  mutating func append(_ value: PickleValue) -> PickleValue.Reference {
    values.append(value)
    return PickleValue.Reference(values.count - 1)
  }

  /// Changes the list, set or tuple at a place without copying it.
  mutating func withElements(
    _ reference: PickleValue.Reference, _ body: (inout [PickleValue.Reference]) -> Void
  ) -> Bool {
    let value = self[reference]
    self[reference] = .none
    switch consume value {
    case .list(var elements):
      body(&elements)
      self[reference] = .list(elements)
    case .set(var elements):
      body(&elements)
      self[reference] = .set(elements)
    case let other:
      self[reference] = other
      return false
    }
    return true
  }

  /// Changes the pairs of a dictionary, or of an object that is one in disguise, without copying them.
  mutating func withPairs(_ reference: PickleValue.Reference, _ body: (inout [PickleValue.Pair]) -> Void) -> Bool
  {
    let place = contents(reference) ?? reference
    let value = self[place]
    self[place] = .none
    switch consume value {
    case .dictionary(var pairs):
      body(&pairs)
      self[place] = .dictionary(pairs)
    case let other:
      self[place] = other
      return false
    }
    return true
  }

  private func contents(_ reference: PickleValue.Reference) -> PickleValue.Reference? {
    if case .record(let record) = self[reference] { record.contents } else { nil }
  }

  /// The pairs of a dictionary whose keys are texts, each key once, in their order; `nil` if the value is none.
  func members(_ reference: PickleValue.Reference) -> [(key: String, value: PickleValue.Reference)]? {
    guard case .dictionary(let pairs) = self[contents(reference) ?? reference] else { return nil }
    var members: [(key: String, value: PickleValue.Reference)] = []
    var places: [String: Int] = [:]
    for pair in pairs {
      guard case .text(let key) = self[pair.key] else { continue }
      if let place = places[key] {
        members[place].value = pair.value
      } else {
        places[key] = members.count
        members.append((key, pair.value))
      }
    }
    return members
  }

  /// What a value is, in a few words.
  func kind(_ reference: PickleValue.Reference) -> String {
    switch self[reference] {
    case .none: "None"
    case .bool: "truth value"
    case .integer, .largeInteger: "integer"
    case .float: "number"
    case .text: "text"
    case .bytes(let bytes): "\(bytes.count) bytes"
    case .list(let elements): "list of \(elements.count)"
    case .tuple(let elements): "tuple of \(elements.count)"
    case .set(let elements): "set of \(elements.count)"
    case .dictionary(let pairs): "dictionary of \(pairs.count)"
    case .storage(let elements): "storage of \(elements.count) \(elements.element.name)"
    case .tensor(let tensor): "tensor of \(tensor.element.name) \(tensor.shape)"
    case .global(let name): "the class or function \(name.prefix(100))"
    case .record(let record): "object of \(record.name.prefix(100))"
    }
  }
}
