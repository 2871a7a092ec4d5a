import Backbones

extension Recipe {
  /// Refuses values that have the right type and make no sense.
  ///
  /// - Throws: ``RecipeError`` for the first such field.
  func validate(_ source: String) throws {
    func check(_ holds: Bool, _ key: String, _ rule: String, _ value: Any) throws {
      if holds { return }
      throw RecipeError(source, key: key, "must be \(rule), got \(value)", remedy: "correct the value")
    }
    func count(_ value: Int, _ key: String, upTo limit: Int = 1_000_000) throws {
      try check((1...limit).contains(value), key, "from 1 to \(limit)", value)
    }
    func share(_ value: Double, _ key: String) throws {
      try check((0...1).contains(value), key, "from 0 to 1", value)
    }
    func atLeastZero(_ value: Double, _ key: String) throws {
      try check(value >= 0 && value.isFinite, key, "at least 0", value)
    }
    func range(_ values: [Double], _ key: String) throws {
      let isRange = values.count == 2 && values[0] > 0 && values[0] <= values[1] && values[1].isFinite
      try check(isRange, key, "the lower and the upper end, both more than 0", values)
    }
    try count(epochs, "epochs")
    try count(batchSize, "batch_size")
    try count(workers, "workers", upTo: 1024)
    if let threads { try count(threads, "threads", upTo: 1024) }
    try count(logSteps, "log_steps")
    if let checkpointSteps { try count(checkpointSteps, "checkpoint_steps") }
    try check(
      (0..<1).contains(labelSmoothing), "label_smoothing", "at least 0 and less than 1", labelSmoothing)
    if let emaDecay {
      try check((0..<1).contains(emaDecay), "ema_decay", "at least 0 and less than 1", emaDecay)
    }

    try count(data.trainingCount, "data.training_count")
    try count(data.validationCount, "data.validation_count")
    try check((32...4096).contains(data.imageSize), "data.image_size", "from 32 to 4096", data.imageSize)
    try check(
      data.cropFraction > 0 && data.cropFraction <= 1, "data.crop_fraction", "in 0...1", data.cropFraction)
    try check(
      (0...1 << 24).contains(data.cacheMegabytes), "data.cache_megabytes", "from 0 to \(1 << 24)",
      data.cacheMegabytes)
    if let fraction = data.validationFraction {
      try check(fraction > 0 && fraction < 1, "data.validation_fraction", "between 0 and 1", fraction)
    }
    let augmentation = data.augmentation
    try range(augmentation.cropArea, "data.augmentation.crop_area")
    try range(augmentation.cropAspect, "data.augmentation.crop_aspect")
    try check(
      (0...data.imageSize).contains(augmentation.shift), "data.augmentation.shift",
      "from 0 to the image's size",
      augmentation.shift)
    try share(augmentation.horizontalFlip, "data.augmentation.horizontal_flip")
    try atLeastZero(augmentation.colorJitter, "data.augmentation.color_jitter")
    try share(augmentation.randomErasing, "data.augmentation.random_erasing")

    let names = Architecture.allCases.map { "`\($0.rawValue)`" }.joined(separator: ", ")
    try check(Architecture(rawValue: model.name) != nil, "model.name", "one of \(names)", "`\(model.name)`")
    if let dropPath = model.dropPath {
      try check((0..<1).contains(dropPath), "model.drop_path", "at least 0 and less than 1", dropPath)
    }
    try validateStages(check)
    if let classes = model.classes { try count(classes, "model.classes") }
    try check(
      [1, 3].contains(model.channels), "model.channels", "1 (luminance) or 3 (red, green, blue) for pictures",
      model.channels)
    try check(model.pretrained != "", "model.pretrained", "a file", "an empty text")
    try check(
      model.pretrained != Pretrained.published
        || Architecture(rawValue: model.name)?.publication?.weights != nil, "model.pretrained",
      "a file for a model without published weights", "`\(Pretrained.published)`")
    try check(!model.freeze.contains(""), "model.freeze", "patterns of keys", "an empty text")

    try atLeastZero(optimizer.learningRate, "optimizer.learning_rate")
    try check(
      optimizer.layerDecay > 0 && optimizer.layerDecay <= 1, "optimizer.layer_decay",
      "more than 0 and at most 1",
      optimizer.layerDecay)
    try check(
      optimizer.betas.count == 2 && optimizer.betas.allSatisfy((0..<1).contains), "optimizer.betas",
      "two numbers, at least 0 and less than 1", optimizer.betas)
    try check(optimizer.epsilon > 0, "optimizer.epsilon", "more than 0", optimizer.epsilon)
    try atLeastZero(optimizer.weightDecay, "optimizer.weight_decay")
    if let clipNorm = optimizer.clipNorm {
      try check(clipNorm > 0, "optimizer.clip_norm", "more than 0", clipNorm)
    }
    try check(
      schedule.warmupEpochs >= 0 && schedule.warmupEpochs <= Double(epochs), "schedule.warmup_epochs",
      "from 0 to the run's \(epochs) epochs", schedule.warmupEpochs)
    try atLeastZero(schedule.warmupLearningRate, "schedule.warmup_learning_rate")
    try atLeastZero(schedule.minLearningRate, "schedule.min_learning_rate")
    try atLeastZero(mixing.mixup, "mixing.mixup")
    try atLeastZero(mixing.cutmix, "mixing.cutmix")
    try share(mixing.probability, "mixing.probability")
    try share(mixing.switchProbability, "mixing.switch_probability")
  }

  private func validateStages(_ check: (Bool, String, String, Any) throws -> Void) throws {
    guard let configuration = Architecture(rawValue: model.name)?.configuration else { return }
    let (stages, unit) = (configuration.depths.count, configuration.widthUnit)
    if let depths = model.depths {
      try check(
        depths.count == stages && depths.allSatisfy((1...1000).contains), "model.depths",
        "\(stages) whole numbers from 1 to 1000", depths)
    }
    if let widths = model.widths {
      try check(
        widths.count == stages && widths.allSatisfy { (unit...8192).contains($0) && $0 % unit == 0 },
        "model.widths", "\(stages) multiples of \(unit) up to 8192", widths)
    }
  }
}
