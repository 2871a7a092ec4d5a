extension PickleReader {
  /// What a known function takes at most; each call looks at all.
  private static let argumentLimit = 1000

  /// What a call stands for: a tensor or a collection where the function is known, else an inert record.
  mutating func call(_ callee: Reference, _ arguments: Reference) throws -> Reference {
    var (callee, arguments) = (callee, arguments)
    while true {
      guard case .tuple(_, let count) = graph[arguments], let items = graph.elements(arguments) else {
        throw broken("calls with what is no tuple")
      }
      guard count <= Self.argumentLimit else { throw broken("calls with \(count) arguments") }
      guard case .global(let name) = graph[callee] else {
        return try record("an object that is no class", arguments)
      }
      switch name {
      case "torch._tensor._rebuild_from_type_v2":
        // A tensor with attributes of its own: the call that makes the tensor is the first argument.
        guard items.count >= 3 else { throw broken("makes a tensor of too few arguments") }
        try spend(1)
        (callee, arguments) = (items[items.startIndex], items[items.startIndex + 2])
        continue
      case "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state":
        guard let data = items.first else { throw broken("makes a parameter of nothing") }
        return data
      case "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_tensor_v3":
        return try tensor(Array(items), hasElementType: name.hasSuffix("v3"))
      case "torch._utils._rebuild_qtensor": return try listed("quantized", sizes: items.dropFirst(2).first)
      case "torch._utils._rebuild_meta_tensor_no_storage":
        return try listed("without elements", sizes: items.dropFirst().first)
      case "torch._utils._rebuild_sparse_tensor", "torch._utils._rebuild_sparse_csr_tensor",
        "torch._utils._rebuild_nested_tensor", "torch._utils._rebuild_wrapper_subclass",
        "torch._utils._rebuild_device_tensor_from_numpy":
        return try listed("of the kind that \(name) makes", sizes: nil)
      case "torch.Size": return try collection(items) { $0.makeTuple($1) }
      case "builtins.list", "__builtin__.list": return try collection(items) { $0.makeList($1) }
      case "builtins.set", "__builtin__.set", "builtins.frozenset", "__builtin__.frozenset":
        return try collection(items) { $0.makeSet($1) }
      case "collections.OrderedDict", "builtins.dict", "__builtin__.dict", "collections.defaultdict":
        return try dictionary(name == "collections.defaultdict" ? [] : items)
      case "_codecs.encode": return try bytes(items, arguments)
      default: return try record(name, arguments)
      }
    }
  }

  private mutating func record(_ name: String, _ arguments: Reference) throws -> Reference {
    try spend(4)
    return graph.append(.record(PickleRecord(name: name, arguments: arguments)))
  }

  /// A collection of the elements of the first argument.
  private mutating func collection(
    _ arguments: ArraySlice<Reference>, _ make: (inout PickleGraph, [Reference]) -> PickleValue
  ) throws -> Reference {
    var elements: [Reference] = []
    if let first = arguments.first {
      guard let own = graph.elements(first) else { throw broken("makes a collection of what is none") }
      try spend(own.count)
      elements = Array(own)
    }
    try spend(1)
    return graph.append(make(&graph, elements))
  }

  private mutating func dictionary(_ arguments: ArraySlice<Reference>) throws -> Reference {
    var pairs: [PickleValue.Pair] = []
    if let first = arguments.first {
      if let own = graph.pairs(first) {
        pairs = own
      } else if let items = graph.elements(first) {
        try spend(items.count)
        for item in items {
          guard let pair = graph.elements(item), pair.count == 2, let key = pair.first, let value = pair.last
          else {
            throw broken("makes a dictionary of what are no pairs")
          }
          pairs.append(.init(key: key, value: value))
        }
      } else {
        throw broken("makes a dictionary of what is none")
      }
    }
    try spend(1 + pairs.count)
    return graph.append(graph.makeDictionary(pairs))
  }

  /// Bytes as protocols before 3 write them: a text of which each character is a byte.
  private mutating func bytes(_ items: ArraySlice<Reference>, _ arguments: Reference) throws -> Reference {
    guard let first = items.first, case .text(let text) = graph[first] else {
      return try record("_codecs.encode", arguments)
    }
    try spend(1 + text.utf8.count / 2)
    let bytes = text.unicodeScalars.compactMap { UInt8(exactly: $0.value) }
    guard bytes.count == text.unicodeScalars.count else { return try record("_codecs.encode", arguments) }
    return graph.append(.bytes(bytes))
  }

  private mutating func tensor(_ arguments: [Reference], hasElementType: Bool) throws -> Reference {
    guard arguments.count >= 4 else { throw broken("makes a tensor of too few arguments") }
    guard case .storage(let elements) = graph[arguments[0]], case .integer(let offset) = graph[arguments[1]]
    else {
      throw broken("makes a tensor without a storage")
    }
    var element = elements.element
    var obstacle: String?
    if hasElementType {
      guard arguments.count >= 7, case .global(let name) = graph[arguments[6]] else {
        throw broken("makes a tensor without a type of elements")
      }
      guard let known = ElementType(dtypeName: name) else {
        return try listed("of elements of \(name.prefix(100))", sizes: arguments[2])
      }
      element = known
    }
    if let flags = arguments.dropFirst(hasElementType ? 7 : 6).first,
      let pairs = graph.pairs(flags), !pairs.isEmpty
    {
      obstacle = "is stored negated or conjugated, which this build does not undo"
    }
    let (shape, strides) = (try sizes(arguments[2]), try sizes(arguments[3]))
    try spend(8 + shape.count + strides.count)
    do {
      return graph.append(
        .tensor(
          try StoredTensor(
            elements, element, offset: offset, shape: shape, strides: strides, obstacle: obstacle)))
    } catch {
      throw broken("has a tensor that \(error.problem)")
    }
  }

  private mutating func listed(_ kind: String, sizes: Reference?) throws -> Reference {
    let shape = try sizes.map { try self.sizes($0) } ?? []
    try spend(8 + shape.count)
    return graph.append(.tensor(StoredTensor(listed: kind, shape: shape)))
  }

  private func sizes(_ reference: Reference) throws -> [Int] {
    guard let elements = graph.elements(reference) else { throw broken("has sizes that are no tuple") }
    guard elements.count <= StoredTensor.rankLimit else {
      throw broken("has a tensor of \(elements.count) dimensions")
    }
    return try elements.map {
      guard case .integer(let size) = graph[$0] else { throw broken("has a size that is no integer") }
      return size
    }
  }
}
