/// A Python value as plain data. Nothing of it is ever executed.
///
/// Values name the values they hold by their place in a ``PickleGraph``. So a value that is shared a thousand times is
/// stored once, a cycle is nothing special, and no depth of nesting needs a stack, not even to be freed.
enum PickleValue: Sendable {
  /// A value's place in a graph.
  typealias Reference = Int32
  /// The place in a graph of what a collection holds.
  typealias Place = Int32

  case none
  case bool(Bool)
  case integer(Int)
  /// An integer beyond 64 bits, in decimal digits or as `0x` and the bytes in two's complement.
  case largeInteger(String)
  case float(Double)
  case text(String)
  case bytes([UInt8])
  /// Elements: ``PickleGraph/elements(_:)``.
  case list(Place)
  case set(Place)
  /// Elements that never change: ``PickleGraph/elements(_:)``.
  case tuple(start: Place, count: Place)
  /// Pairs in the order in which they were put in: ``PickleGraph/pairs(_:)``. Of pairs with equal keys the last counts.
  case dictionary(Place)
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
  /// What would be put into it by key.
  var contents: PickleValue.Place?
}

/// All values of a pickle.
struct PickleGraph: Sendable {
  private(set) var values: [PickleValue] = []
  /// The value that the pickle stands for.
  var root: PickleValue.Reference = 0
  // Outside of the values, where they grow without being copied.
  private var lists: [[PickleValue.Reference]] = []
  private var dictionaries: [[PickleValue.Pair]] = []
  private var tuples: [PickleValue.Reference] = []

  subscript(_ reference: PickleValue.Reference) -> PickleValue {
    get { values[Int(reference)] }
    set { values[Int(reference)] = newValue }
  }

  mutating func append(_ value: PickleValue) -> PickleValue.Reference {
    values.append(value)
    return PickleValue.Reference(values.count - 1)
  }

  mutating func makeList(_ elements: [PickleValue.Reference]) -> PickleValue {
    lists.append(elements)
    return .list(PickleValue.Place(lists.count - 1))
  }

  mutating func makeSet(_ elements: [PickleValue.Reference]) -> PickleValue {
    lists.append(elements)
    return .set(PickleValue.Place(lists.count - 1))
  }

  mutating func makeTuple(_ elements: some Collection<PickleValue.Reference>) -> PickleValue {
    tuples += elements
    return .tuple(
      start: PickleValue.Place(tuples.count - elements.count), count: PickleValue.Place(elements.count))
  }

  mutating func makeDictionary(_ pairs: [PickleValue.Pair]) -> PickleValue {
    dictionaries.append(pairs)
    return .dictionary(PickleValue.Place(dictionaries.count - 1))
  }

  /// What a list, set or tuple holds; `nil` if the value is none.
  func elements(_ reference: PickleValue.Reference) -> ArraySlice<PickleValue.Reference>? {
    switch self[reference] {
    case .list(let place), .set(let place): lists[Int(place)][...]
    case .tuple(let start, let count): tuples[Int(start)..<Int(start) + Int(count)]
    default: nil
    }
  }

  /// What a dictionary holds, or an object that is one in disguise; `nil` if the value is none.
  func pairs(_ reference: PickleValue.Reference) -> [PickleValue.Pair]? {
    switch self[reference] {
    case .dictionary(let place): dictionaries[Int(place)]
    case .record(let record): record.contents.map { dictionaries[Int($0)] }
    default: nil
    }
  }

  /// Appends to a list or set; false if the value is none.
  mutating func append(
    _ elements: some Collection<PickleValue.Reference>, to reference: PickleValue.Reference
  ) -> Bool {
    switch self[reference] {
    case .list(let place), .set(let place):
      lists[Int(place)] += elements
      return true
    default: return false
    }
  }

  /// Puts pairs into a dictionary, or into an object, which becomes one in disguise; false if the value is neither.
  mutating func insert(
    _ pairs: some Collection<PickleValue.Pair>, into reference: PickleValue.Reference
  ) -> Bool {
    switch self[reference] {
    case .dictionary(let place): dictionaries[Int(place)] += pairs
    case .record(var record):
      if let place = record.contents {
        dictionaries[Int(place)] += pairs
      } else {
        dictionaries.append(Array(pairs))
        record.contents = PickleValue.Place(dictionaries.count - 1)
        self[reference] = .record(record)
      }
    default: return false
    }
    return true
  }

  /// The pairs of a dictionary whose keys are texts, each key once, in their order; `nil` if the value is none.
  func members(_ reference: PickleValue.Reference) -> [(key: String, value: PickleValue.Reference)]? {
    guard let pairs = pairs(reference) else { return nil }
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
    case .list(let place): "list of \(lists[Int(place)].count)"
    case .set(let place): "set of \(lists[Int(place)].count)"
    case .tuple(_, let count): "tuple of \(count)"
    case .dictionary(let place): "dictionary of \(dictionaries[Int(place)].count)"
    case .storage(let elements): "storage of \(elements.count) \(elements.element.name)"
    case .tensor(let tensor): "tensor of \(tensor.element.name) \(tensor.shape)"
    case .global(let name): "the class or function \(name.prefix(100))"
    case .record(let record): "object of \(record.name.prefix(100))"
    }
  }
}
