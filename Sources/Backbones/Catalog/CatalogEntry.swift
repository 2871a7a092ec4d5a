/// What the catalog holds of one architecture.
struct CatalogEntry {
  /// The network, with the drop-path rate it was trained with.
  let configuration: any BackboneConfiguration
  /// The images that it takes.
  let input: ModelInput
  /// What its authors published; `nil` for an architecture of ours.
  let publication: Publication?
}
